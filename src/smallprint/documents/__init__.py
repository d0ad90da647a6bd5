"""Files that people scan: txt, Markdown, HTML, DOCX, PDF, archives and folders of them, to text with sentences and places."""
