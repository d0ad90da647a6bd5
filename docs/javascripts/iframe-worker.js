// A page opened from the disk may start no worker; the theme's search then runs in a hidden frame of the same page.
// The theme would fetch such a shim from elsewhere; this one is ours. Its name, IFrameWorker, is the one that the search looks for.
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inside = (this.inside = this.frame.contentWindow)
      const load = source =>
        new Promise((done, failed) => {
          const script = inside.document.createElement("script")
          script.onload = done
          script.onerror = () => failed(new Error(`cannot load ${source}`))
          script.src = source
          inside.document.body.appendChild(script)
        })
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve())
      this.ready = load(url)
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() {
      this.frame.remove()
    }
  }
}
