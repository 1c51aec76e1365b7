// The words that can be seen, in document order, with boxes in CSS pixels.
() => {
  const CLIPPED = 0.9; // share of a word's box that must be inside every clipping ancestor
  const styles = new Map(), clips = new Map(), blocks = new Map();
  const style = (el) => styles.get(el) ?? (styles.set(el, getComputedStyle(el)), styles.get(el));

  const clip = (el) => { // intersection of the viewport and all ancestors that hide overflow
    if (!el) return [0, 0, innerWidth, innerHeight];
    if (clips.has(el)) return clips.get(el);
    let [x0, y0, x1, y1] = clip(el.parentElement);
    const s = style(el);
    if (s.overflowX !== 'visible' && !(el instanceof SVGElement) && s.display !== 'inline') {
      const r = el.getBoundingClientRect();
      const cut = s.textOverflow === 'ellipsis' && el.scrollWidth > el.clientWidth;
      x0 = Math.max(x0, r.left); y0 = Math.max(y0, r.top); y1 = Math.min(y1, r.bottom);
      x1 = Math.min(x1, r.right - (cut ? 1.3 * parseFloat(s.fontSize) : 0));
    }
    clips.set(el, [x0, y0, x1, y1]);
    return clips.get(el);
  };

  const block = (el) => { // nearest ancestor that is not inline: words of two blocks never join
    if (!blocks.has(el)) {
      const inline = style(el).display === 'inline' && el.tagName !== 'text';
      blocks.set(el, inline ? block(el.parentElement) : el);
    }
    return blocks.get(el);
  };

  const visible = (el, r) => {
    const [x0, y0, x1, y1] = clip(el);
    const w = Math.min(r.right, x1) - Math.max(r.left, x0), h = Math.min(r.bottom, y1) - Math.max(r.top, y0);
    if (w <= 0 || h <= 0 || w * h < CLIPPED * r.width * r.height || w < 0.98 * r.width - 0.5) return false;
    return [0.5, 0.12, 0.88].every((t) => {
      const hit = document.elementFromPoint(r.left + t * r.width, r.top + r.height / 2);
      return hit && (hit === el || el.contains(hit));
    });
  };

  const color = (text) => text.match(/[\d.]+/g).map(Number);
  const veilElement = document.querySelector('.veil'); // dims what lies behind a dialog
  const veil = veilElement && color(style(veilElement).backgroundColor);
  const seen = (el, rgb) => {
    if (!veil || el.closest('.dialog')) return rgb;
    const alpha = veil[3] ?? 1;
    return rgb.map((value, k) => Math.round(value * (1 - alpha) + veil[k] * alpha));
  };
  const transform = {
    uppercase: (t) => t.toUpperCase(), lowercase: (t) => t.toLowerCase(),
    capitalize: (t) => t.charAt(0).toUpperCase() + t.slice(1),
  };

  const pieces = []; // runs of one text node without white space on one line
  const range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let glued = false; // whether the text before this node ended without white space
  for (let node; (node = walker.nextNode()); ) {
    const el = node.parentElement, s = style(el), value = node.nodeValue;
    if (!value.trim()) { glued = false; continue; }
    if (['STYLE', 'SCRIPT', 'TITLE'].includes(el.tagName) || s.visibility !== 'visible') continue;
    const rgba = color(el instanceof SVGElement ? s.fill : s.color);
    for (const match of value.matchAll(/\S+/g)) {
      const start = match.index, end = start + match[0].length;
      range.setStart(node, start); range.setEnd(node, end);
      let parts = [...range.getClientRects()].map((r) => [match[0], r]);
      if (parts.length > 1) { // broken over lines: one piece for each line
        const rows = new Map();
        for (let k = start; k < end; k++) {
          range.setStart(node, k); range.setEnd(node, k + 1);
          const r = range.getClientRects()[0];
          if (!r) continue;
          const row = rows.get(Math.round(r.top)) ?? ['', r.left, r.top, r.right, r.bottom];
          rows.set(Math.round(r.top), [row[0] + value[k], Math.min(row[1], r.left), r.top, Math.max(row[3], r.right), r.bottom]);
        }
        parts = [...rows.values()].map(([t, l, top, right, bottom]) => [t, new DOMRect(l, top, right - l, bottom - top)]);
      }
      for (const [raw, r] of parts) {
        if (!r.width || !r.height) continue;
        const shown = visible(el, r) && (rgba[3] ?? 1) > 0.3 && parseFloat(s.fontSize) >= 5;
        pieces.push({
          text: (transform[s.textTransform] ?? ((t) => t))(raw), shown, block: block(el),
          glued: glued && start === 0, box: [r.left, r.top, r.right, r.bottom],
          family: s.fontFamily.split(',')[0].replace(/["']/g, ''), weight: Number(s.fontWeight),
          italic: s.fontStyle !== 'normal', size: parseFloat(s.fontSize), color: seen(el, rgba.slice(0, 3)),
        });
      }
    }
    glued = !/\s$/.test(value);
  }

  const sameRow = (a, b) => {
    const ha = a[3] - a[1], hb = b[3] - b[1];
    return Math.abs((a[1] + a[3] - b[1] - b[3]) / 2) < 0.4 * Math.min(ha, hb);
  };
  const words = [];
  for (const piece of pieces) { // join the spans of coloured code into the words that are seen
    const last = words.at(-1);
    if (last && piece.glued && last.block === piece.block && sameRow(last.box, piece.box)
        && Math.abs(piece.box[0] - last.box[2]) < 1.5) {
      const longer = piece.text.length > last.text.length ? piece : last;
      const { family, weight, italic, size, color } = longer;
      const [a, b] = [last.box, piece.box];
      Object.assign(last, { family, weight, italic, size, color, text: last.text + piece.text, shown: last.shown && piece.shown,
        box: [a[0], Math.min(a[1], b[1]), b[2], Math.max(a[3], b[3])] });
    } else words.push({ ...piece });
  }

  let line = -1, last = null;
  const out = [];
  for (const word of words) {
    if (!word.shown || !/[\p{L}\p{N}\p{P}\p{Sm}\p{Sc}]/u.test(word.text)) { last = null; continue; }
    const joins = last && last.block === word.block && sameRow(last.box, word.box)
      && word.box[0] >= last.box[2] - 1 && word.box[0] - last.box[2] < 2 * word.size;
    if (!joins) line++;
    last = word;
    const [x0, y0, x1, y1] = word.box;
    const { text, family, weight, italic, size, color } = word;
    out.push({ text, box: [x0, y0, x1 - x0, y1 - y0], line, family, weight, italic, size, color });
  }
  return out;
}
