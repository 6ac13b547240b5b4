// What tests ask of an open page; each function answers with a list of complaints.
window.probes = (() => {
  const unseen = ".unseen, .skip, .sprite, #tip, script, style, title";
  const shown = (element) => element.checkVisibility({ visibilityProperty: true })
    && !element.closest(unseen);
  const label = (text) => text.trim().replace(/\s+/g, " ").slice(0, 50);
  const texts = () => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const all = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.data.trim() && shown(node.parentElement)) all.push(node);
    }
    return all;
  };

  // Colours by the definition of WCAG 2.
  const board = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      board.clearRect(0, 0, 1, 1);
      board.fillStyle = colour;
      board.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = board.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = (top, bottom) => [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3]));
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let part = element; part; part = part.parentElement) {
      const layer = rgba(getComputedStyle(part).backgroundColor);
      if (layer[3] > 0) layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const opacity = (element) => {
    let share = 1;
    for (let part = element; part; part = part.parentElement) {
      share *= Number(getComputedStyle(part).opacity);
    }
    return share;
  };
  const seen = (colour, share, ground) => {
    const [r, g, b, a] = rgba(colour);
    return over([r, g, b, a * share], ground);
  };
  const contrast = () => texts().flatMap((node) => {
    const element = node.parentElement;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const inSvg = element.closest("svg");
    const text = seen(inSvg ? style.fill : style.color, opacity(element), ground);
    const found = ratio(text, ground);
    return found < 4.5 ? [`${found.toFixed(2)} ${style.color} "${label(node.data)}"`] : [];
  });
  const marks = () => [...document.querySelectorAll("figure svg [data-tip]")].filter(shown)
    .flatMap((mark) => {
      const ground = behind(mark.closest("figure"));
      const drawn = [...mark.querySelectorAll("path, use")].flatMap((part) => (
        part.localName === "use" ? [part, document.querySelector(part.getAttribute("href"))] : part));
      const parts = drawn.flatMap((part) => {
        const style = getComputedStyle(part);
        const share = opacity(part);
        return [
          [style.stroke, share * Number(style.strokeOpacity)],
          [style.fill, share * Number(style.fillOpacity)],
        ].filter(([colour]) => colour !== "none");
      });
      const best = Math.max(0, ...parts.map(([colour, share]) =>
        ratio(seen(colour, share, ground), ground)));
      return parts.length && best < 3
        ? [`${best.toFixed(2)} ${mark.closest("figure").id}: ${label(mark.dataset.tip)}`] : [];
    });

  // Places of texts: pieces are lines of one text node, or one text of a figure.
  const pieces = () => texts().flatMap((node) => {
    const drawn = node.parentElement.closest("svg text");
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = drawn ? [drawn.getBoundingClientRect()] : [...range.getClientRects()];
    return boxes.filter((box) => box.width > 1 && box.height > 1)
      .map((box) => ({ box, node, text: label(node.data) }));
  });
  const hiddenBySide = ({ box, node }) => {
    const scroll = node.parentElement.closest(".scroll");
    const around = scroll?.getBoundingClientRect();
    return Boolean(around) && (box.right > around.right + 1 || box.left < around.left - 1);
  };
  const overlaps = () => {
    const all = pieces().filter((piece) => !hiddenBySide(piece))
      .sort((a, b) => a.box.top - b.box.top);
    const complaints = [];
    all.forEach((first, place) => {
      for (let next = place + 1; next < all.length; next += 1) {
        const second = all[next];
        if (second.box.top >= first.box.bottom) break;
        const across = Math.min(first.box.right, second.box.right)
          - Math.max(first.box.left, second.box.left);
        const down = Math.min(first.box.bottom, second.box.bottom) - second.box.top;
        const least = Math.min(first.box.height, second.box.height);
        if (first.node !== second.node && across > 2 && down > 0.35 * least) {
          const figure = first.node.parentElement.closest("figure");
          complaints.push(`${figure ? figure.id : "page"}: "${first.text}" on "${second.text}"`);
        }
      }
    });
    return complaints;
  };
  const clipped = () => pieces().flatMap(({ box, node, text }) => {
    const svg = node.parentElement.closest("figure svg");
    const frame = svg?.getBoundingClientRect();
    if (frame) {
      const cut = Math.max(frame.left - box.left, box.right - frame.right,
        frame.top - box.top, box.bottom - frame.bottom);
      return cut > 1 ? [`${svg.closest("figure").id}: "${text}" by ${cut.toFixed(1)} px`] : [];
    }
    for (let part = node.parentElement; part; part = part.parentElement) {
      const style = getComputedStyle(part);
      if (style.textOverflow === "ellipsis" && part.scrollWidth > part.clientWidth) {
        return [`"${text}" ends in an ellipsis`];
      }
      const hides = ["hidden", "clip"].includes(style.overflowX);
      if (hides && box.right > part.getBoundingClientRect().right + 1) return [`"${text}" is cut`];
    }
    return [];
  });
  const small = (least) => texts().flatMap((node) => {
    const element = node.parentElement;
    const svg = element.closest("svg");
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = scale * parseFloat(getComputedStyle(element).fontSize);
    return size < least - 0.01 ? [`${size.toFixed(1)} px "${label(node.data)}"`] : [];
  });
  const unfold = () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  const wide = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return { contrast, marks, overlaps, clipped, small, unfold, wide };
})();
