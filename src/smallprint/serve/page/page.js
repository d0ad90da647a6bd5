"use strict";
// The page: texts go to the server that it came from and nowhere else; what is read and corrected lives in this tab alone.
const by = (id) => document.getElementById(id);
const make = (name, text, of = {}) => Object.assign(document.createElement(name), text === undefined ? {} : { textContent: text }, of);
const state = { key: sessionStorage.getItem("key") || "", cards: [], reasons: {}, answer: null, off: new Set(), corrections: new Map(), at: -1, open: null, stop: null };
const card = () => state.cards.find((each) => each.name === by("model").value) || state.cards[0];
const say = (text, wrong = false) => { by("said").textContent = text; by("said").classList.toggle("wrong", wrong); };

async function ask(path, options = {}) {
  // who tries a text here wants to see what is found, not to have it acted on
  const headers = { ...(options.headers || {}), "smallprint-actions": "none", ...(state.key ? { authorization: `Bearer ${state.key}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (answer.status === 401) by("key-form").hidden = false;
  throw new Error(problem.detail);
}
const json = (path, body) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

async function begin() {
  try {
    state.cards = (await (await ask("/v1/models")).json()).models;
    by("key-form").hidden = true; say("");
    by("model").replaceChildren(...state.cards.map((each) => make("option", each.name, { value: each.name })));
    by("model-choice").hidden = state.cards.length < 2;
    await choose();
  } catch (error) { say(error.message, true); }
}
async function choose() {
  by("version").textContent = `${card().name}, version ${card().version.slice(0, 12)}, ${card().task}`;
  const known = await (await ask(`/v1/labels?model=${encodeURIComponent(card().name)}`)).json();
  state.reasons = known.reasons;
  const names = known.labels.map((name) => name.toLowerCase());
  const fair = names.includes("unfair") && names.every((name) => ["fair", "none", "unfair"].includes(name));
  by("legal").hidden = !fair && !Object.keys(state.reasons).length;
}

// reading
async function read(body, headers, query) {
  by("busy").hidden = false; by("read").disabled = true; by("progress").removeAttribute("value"); say("");
  state.stop = new AbortController();
  try {
    const path = `/v1/scan?whole=true&stream=true&model=${encodeURIComponent(card().name)}${query}`;
    const answer = await ask(path, { method: "POST", headers, body, signal: state.stop.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "", last = null;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n"); rest = lines.pop();
      for (const line of lines) {
        last = JSON.parse(line);
        if (last.of) by("progress").value = last.done / last.of;
      }
    }
    if (!last || last.problem || !last.documents) throw new Error(last && last.problem ? last.problem.detail : "The server's answer broke off. Try again.");
    state.answer = last; state.corrections.clear(); state.off.clear(); state.at = -1;
    show();
    by("count").scrollIntoView({ block: "nearest" });
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : error.message, error.name !== "AbortError");
  } finally { by("busy").hidden = true; by("read").disabled = false; }
}
const readFile = (file) => read(file, { "content-type": "application/octet-stream" }, `&name=${encodeURIComponent(file.name)}`);

// what is shown: by the chosen point, unless a person corrected it
function labelsOf(scores) {
  const names = card().score_names, point = card().points[Number(by("point").value)];
  if (card().task === "multiclass") return [names[scores.indexOf(Math.max(...scores))]];
  const found = names.filter((_, i) => scores[i] >= point.thresholds[i]).sort((a, b) => scores[names.indexOf(b)] - scores[names.indexOf(a)]);
  if (found.length || point.any === null) return found;
  return 1 - scores.reduce((left, score) => left * (1 - score), 1) >= point.any ? ["for a person"] : [];
}
function findings() {
  const all = [];
  state.answer.documents.forEach((document_, d) => (document_.scored || []).forEach(([start, end, scores]) => {
    const key = `${d}:${start}`, corrected = state.corrections.get(key);
    const labels = corrected ? corrected.labels : labelsOf(scores);
    all.push({ key, d, start, end, scores, labels, corrected: Boolean(corrected), text: document_.text.slice(...unicode(document_, start, end)) });
  }));
  return all;
}
// offsets count characters; strings here count UTF-16 units
function unicode(document_, start, end) {
  if (!document_.units) {
    const units = [0];
    for (const character of document_.text) units.push(units[units.length - 1] + character.length);
    document_.units = units.length - 1 === document_.text.length ? null : units;
    document_.plain = document_.units === null;
  }
  return document_.plain ? [start, end] : [document_.units[start], document_.units[end]];
}
const hue = (label) => (label === "for a person" ? 210 : Math.round((card().labels.indexOf(label) * 360) / card().labels.length));

function show() {
  const all = findings(), found = all.filter((each) => each.labels.length);
  const counts = new Map();
  found.forEach((each) => each.labels.forEach((label) => counts.set(label, (counts.get(label) || 0) + 1)));
  const point = card().points[Number(by("point").value)];
  by("point-said").textContent = [point.name, point.promise].filter(Boolean).join(": ");
  by("point").setAttribute("aria-valuetext", point.name);
  by("filters").replaceChildren(make("legend", "Labels"), ...[...counts].map(([label, n]) => {
    const box = make("input", undefined, { type: "checkbox", value: label, checked: !state.off.has(label) });
    const line = make("label"); line.style.setProperty("--hue", hue(label));
    line.append(box, make("span", `${label} (${n})`, { className: "tag" }));
    return line;
  }));
  const seen = found.filter((each) => each.labels.some((label) => !state.off.has(label)));
  by("count").textContent = `${seen.length} ${seen.length === 1 ? "finding" : "findings"}`;
  by("list").replaceChildren(...seen.map((each) => {
    const button = make("button", undefined, { type: "button" }); button.style.setProperty("--hue", hue(each.labels[0]));
    button.append(make("span", each.labels.join(", "), { className: "tag" }), make("br"), each.text.length > 90 ? `${each.text.slice(0, 89)}…` : each.text);
    button.addEventListener("click", () => jump(by(`f-${each.key}`)));
    const item = make("li"); item.append(button); return item;
  }));
  by("documents").replaceChildren(...state.answer.documents.flatMap((document_, d) => write(document_, all.filter((each) => each.d === d))));
  by("save-corrections").hidden = !state.corrections.size;
  by("save-corrections").textContent = `Save ${state.corrections.size} ${state.corrections.size === 1 ? "correction" : "corrections"}`;
  by("result").hidden = false;
}
function write(document_, sentences) {
  const parts = [make("h2", document_.name)];
  if (document_.error) return [...parts, make("p", `${document_.error.found} ${document_.error.do}`)];
  document_.notes.forEach((note) => parts.push(make("p", note, { className: "soft" })));
  const heads = new Set((document_.headings || []).map(([start]) => start)), pages = new Map((document_.page_starts || []).map((start, i) => [start, i + 1]));
  let position = 0, i = 0;
  for (const line of document_.text.split("\n")) {
    const length = document_.plain === false ? [...line].length : line.length, end = position + length;
    if (pages.has(position)) parts.push(make("p", `page ${pages.get(position)}`, { className: "soft" }));
    const paragraph = make("p", undefined, heads.has(position) ? { className: "heading" } : {});
    let at = position;
    const slice = (a, b) => document_.text.slice(...unicode(document_, a, b));
    for (; i < sentences.length && sentences[i].start < end; i += 1) {
      const each = sentences[i];
      if (each.start > at) paragraph.append(slice(at, each.start));
      paragraph.append(marked(each)); at = each.end;
    }
    if (at < end) paragraph.append(slice(at, end));
    parts.push(paragraph); position = end + 1;
  }
  return parts;
}
function marked(each) {
  const on = each.labels.some((label) => !state.off.has(label));
  const part = on ? make("mark", each.text, { tabIndex: 0 }) : make("span", each.text);
  part.id = `f-${each.key}`;
  if (on) { part.style.setProperty("--hue", hue(each.labels[0])); part.setAttribute("role", "button"); part.append(" ", make("span", each.labels.join(", "), { className: "tag" })); }
  part.classList.toggle("corrected", each.corrected);
  part.addEventListener("click", () => open(each));
  part.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(each); } });
  return part;
}
function jump(part) { if (part) { part.focus(); part.scrollIntoView({ block: "center" }); } }

// one finding
function open(each) {
  state.open = each;
  by("detail-text").textContent = each.text; by("evidence").textContent = "";
  const rows = card().score_names.map((name, i) => [name, each.scores[i]]).sort((a, b) => b[1] - a[1]).slice(0, 8);
  by("detail-scores").tBodies[0].replaceChildren(...rows.map(([name, score]) => { const row = make("tr"); row.append(make("td", name), make("td", score.toFixed(2))); return row; }));
  by("detail-why").textContent = each.labels.map((label) => state.reasons[label]).filter(Boolean).join(" ");
  const one = card().task === "multiclass";
  by("correct").replaceChildren(make("legend", "What it should be (none: no finding)"), ...card().score_names.map((name) => {
    const line = make("label"); line.append(make("input", undefined, { type: one ? "radio" : "checkbox", name: "label", value: name, checked: each.labels.includes(name) }), name); return line;
  }));
  by("detail").showModal();
}
async function explain() {
  const each = state.open, label = each.labels.find((name) => card().score_names.includes(name)) || card().score_names[each.scores.indexOf(Math.max(...each.scores))];
  by("evidence").textContent = "Looking…";
  try {
    const { evidence } = await (await json("/v1/explain", { text: each.text, label, model: card().name })).json();
    by("evidence").textContent = evidence.length ? `For ${label}: ${evidence.map((part) => part.text).join(", ")}` : "No single word.";
    const quote = by("detail-text"), characters = [...each.text]; quote.textContent = "";
    let at = 0;
    evidence.forEach((part) => { quote.append(characters.slice(at, part.start).join(""), make("u", characters.slice(part.start, part.end).join(""))); at = part.end; });
    quote.append(characters.slice(at).join(""));
  } catch (error) { by("evidence").textContent = error.message; }
}
function keep() {
  const labels = [...by("correct").querySelectorAll("input:checked")].map((box) => box.value);
  const { key, d, start, end, text } = state.open;
  state.corrections.set(key, { labels, text, document: state.answer.documents[d].name, place: `${start}-${end}` });
  by("detail").close(); show(); say("Kept. Save the corrections for the next training: smallprint train --extra.");
  jump(by(`f-${key}`));
}

// saving
function save(name, kind, text) {
  const link = make("a", undefined, { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
  link.click(); setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
// a cell that a spreadsheet would take for a formula is quoted by an apostrophe
const cell = (value) => { const text = String(value ?? ""); return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`; };
const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
const shown = () => findings().filter((each) => each.labels.some((label) => !state.off.has(label)));
const named = (each) => ({ document: state.answer.documents[each.d].name, start: each.start, end: each.end, labels: each.labels, scores: Object.fromEntries(card().score_names.map((name, i) => [name, each.scores[i]])), corrected: each.corrected, text: each.text });
function saveCsv() {
  save("findings.csv", "text/csv", csv([["document", "start", "end", "labels", "score", "corrected", "text"], ...shown().map((each) => [state.answer.documents[each.d].name, each.start, each.end, each.labels.join("|"), Math.max(...each.scores).toFixed(6), each.corrected, each.text])]));
}
function saveCorrections() {
  save("corrections.csv", "text/csv", csv([["text", "labels", "document", "place"], ...[...state.corrections.values()].map((each) => [each.text, each.labels.join("|"), each.document, each.place])]));
}
async function saveHtml() {
  const style = await (await fetch("/page.css")).text(), copy = by("documents").cloneNode(true);
  copy.querySelectorAll("[tabindex]").forEach((part) => { part.removeAttribute("tabindex"); part.removeAttribute("role"); });
  // put together as text: in this page's policy a style element of another document would not be let in
  const parts = [make("h1", by("count").textContent), make("p", by("version").textContent), copy].map((part) => part.outerHTML);
  const policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">';
  save("findings.html", "text/html", `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">${policy}<title>Findings</title><style>${style}</style></head><body>${parts.join("\n")}</body></html>\n`);
}

by("input").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = by("text").value;
  if (text.trim()) read(JSON.stringify({ text, name: "pasted text" }), { "content-type": "application/json" }, ""); else say("There is no text yet.", true);
});
by("file").addEventListener("change", () => { if (by("file").files.length) readFile(by("file").files[0]); by("file").value = ""; });
by("stop").addEventListener("click", () => state.stop.abort());
by("key-form").addEventListener("submit", (event) => { event.preventDefault(); state.key = by("key").value.trim(); sessionStorage.setItem("key", state.key); by("key").value = ""; begin(); });
by("model").addEventListener("change", () => { state.answer = null; by("result").hidden = true; choose(); });
by("point").addEventListener("input", show);
by("filters").addEventListener("change", (event) => { state.off[event.target.checked ? "delete" : "add"](event.target.value); const value = event.target.value; show(); const again = by("filters").querySelector(`input[value="${CSS.escape(value)}"]`); if (again) again.focus(); });
by("save-html").addEventListener("click", saveHtml);
by("save-csv").addEventListener("click", saveCsv);
by("save-json").addEventListener("click", () => save("findings.json", "application/json", JSON.stringify({ model: state.answer.model, version: state.answer.version, findings: shown().map(named) }, null, 1)));
by("save-corrections").addEventListener("click", saveCorrections);
by("explain").addEventListener("click", explain);
by("keep").addEventListener("click", keep);
by("close").addEventListener("click", () => by("detail").close());
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => { event.preventDefault(); document.body.classList.remove("dropping"); if (event.dataTransfer.files.length) readFile(event.dataTransfer.files[0]); });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key) || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || by("detail").open) return;
  const marks = [...by("documents").querySelectorAll("mark")]; if (!marks.length) return;
  state.at = (state.at + (event.key === "j" ? 1 : -1) + marks.length) % marks.length;
  jump(marks[state.at]);
});
begin();
