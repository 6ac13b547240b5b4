"use strict";
{
  const root = document.documentElement;
  const every = (selector, part = document) => [...part.querySelectorAll(selector)];
  const words = JSON.parse(document.getElementById("words").textContent);
  const asked = new URLSearchParams(location.search);
  const button = (text, act, label) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (label) made.setAttribute("aria-label", `${text}: ${label}`);
    made.addEventListener("click", act);
    return made;
  };
  every("#theme, #fold-tools, [data-copy]").forEach((part) => { part.hidden = false; });

  // Light or dark.
  const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  const dark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const wanted = asked.get("theme") || root.dataset.theme || stored;
  if (["light", "dark"].includes(wanted)) root.dataset.theme = wanted;
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a file may not store */ }
  });

  // Folds: opened by a link into them, all at once, and all for a print of everything.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
    target?.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  const unfold = document.getElementById("unfold");
  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    every("details").forEach((fold) => { fold.open = open; });
    unfold.setAttribute("aria-pressed", open);
    unfold.textContent = open ? words.fold : words.unfold;
  });
  document.getElementById("print").addEventListener("click", () => {
    const closed = every("details:not([open])");
    closed.forEach((fold) => { fold.open = true; });
    addEventListener("afterprint", () => closed.forEach((fold) => { fold.open = false; }),
      { once: true });
    print();
  });
  if (asked.get("print") === "all") every("details").forEach((fold) => { fold.open = true; });
  if (location.hash) reveal();

  // Tables: sorted by a heading, filtered by words.
  const key = (row, column) => {
    const cell = row.cells[column];
    const verdict = cell.querySelector("[data-verdict]")?.dataset.verdict;
    const text = cell.dataset.value ?? cell.dataset.low ?? verdict ?? cell.textContent.trim();
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  for (const table of every("table.sortable")) {
    [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((head, column) => {
      const place = head.querySelector(".sorts") ?? head.querySelector(".term") ?? head;
      const parts = [...place.childNodes];
      const sorter = button("", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        every("th[aria-sort]", table).forEach((th) => th.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(key(a, column), key(b, column), sign));
        table.tBodies[0].append(...rows);
      });
      sorter.append(...parts);
      place.append(sorter);
    });
  }
  const fewestToFilter = 9;
  for (const table of every("table.sortable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < fewestToFilter) continue;
    const label = document.createElement("label");
    label.className = "filter";
    const field = document.createElement("input");
    field.type = "search";
    const told = document.createElement("output");
    label.append(words.filter, " ", field, told);
    table.closest(".scroll").before(label);
    const texts = rows.map((row) => row.textContent.toLowerCase());
    field.addEventListener("input", () => {
      const sought = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, place) => {
        row.hidden = !sought.every((word) => texts[place].includes(word));
      });
      const shown = rows.filter((row) => !row.hidden).length;
      told.textContent = sought.length ? words.shown.replace("{shown}", shown)
        .replace("{all}", rows.length) : "";
    });
  }
  for (const copy of every("[data-copy]")) {
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).innerText);
      copy.textContent = words.copied;
    });
  }
  // Only what is wider than its box is a stop for the keyboard.
  const boxes = new ResizeObserver((seen) => seen.forEach(({ target }) => {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }));
  every(".scroll").forEach((box) => boxes.observe(box));

  // Figures: as a file, as numbers.
  const save = (name, kind, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const light = document.styleSheets[0].cssRules[0].style;
  const drawing = (figure) => {
    const svg = every("svg", figure).find((part) => part.checkVisibility()).cloneNode(true);
    every("[data-tip]", svg).forEach((mark) => {
      const title = document.createElementNS(svg.namespaceURI, "title");
      title.textContent = mark.dataset.tip;
      mark.prepend(title);
      ["data-tip", "tabindex", "aria-label", "role"].forEach((name) => mark.removeAttribute(name));
    });
    svg.setAttribute("xmlns", svg.namespaceURI);
    svg.style.background = "var(--paper)";
    return new XMLSerializer().serializeToString(svg).replace(/var\((--[\w-]+)\)/g,
      (_, name) => light.getPropertyValue(name).trim().replaceAll('"', "'"));
  };
  for (const figure of every("figure")) {
    const tools = document.createElement("span");
    tools.className = "tools";
    const caption = figure.querySelector("figcaption");
    const title = caption.textContent;
    tools.append(button(words.svg,
      () => save(`${figure.id}.svg`, "image/svg+xml", drawing(figure)), title));
    const data = figure.querySelector("script.data");
    if (data) {
      tools.append(button(words.data,
        () => save(`${figure.id}.csv`, "text/csv", JSON.parse(data.textContent)), title));
    }
    caption.append(tools);
  }

  // Words at marks of figures and at headings: pointed at, tapped or focused.
  const mostStops = 40;
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.querySelector("main").append(tip);
  for (const svg of every("figure svg")) {
    svg.querySelector(":scope > title")?.remove();
    const titles = every("g > title", svg);
    if (titles.length) svg.setAttribute("role", "group");
    for (const title of titles) {
      const mark = title.parentElement;
      mark.dataset.tip = title.textContent;
      title.remove();
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", mark.dataset.tip);
      if (titles.length <= mostStops) mark.setAttribute("tabindex", "0");
    }
  }
  for (const term of every("th[title], .term[title], abbr[title]")) {
    term.dataset.tip = term.title;
    term.removeAttribute("title");
    if (!term.querySelector("button")) term.tabIndex = 0;
  }
  const hide = () => { tip.hidden = true; };
  const show = (target) => {
    if (!target) return;
    tip.textContent = target.dataset.tip;
    tip.hidden = false;
    const at = target.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - size.width / 2;
    tip.style.left = `${Math.max(8, Math.min(left, root.clientWidth - size.width - 8))}px`;
    tip.style.top = `${at.top > size.height + 12 ? at.top - size.height - 6 : at.bottom + 6}px`;
  };
  const told = (event) => event.target.closest?.("[data-tip]");
  const reach = 24;
  const nearest = (event) => {
    const svg = event.target.closest?.("figure svg");
    const far = (mark) => {
      const at = mark.getBoundingClientRect();
      return Math.hypot(at.left + at.width / 2 - event.clientX, at.top + at.height / 2 - event.clientY);
    };
    const marks = svg ? every("[data-tip]", svg) : [];
    const closest = marks.sort((a, b) => far(a) - far(b))[0];
    return closest && far(closest) <= reach ? closest : null;
  };
  addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") show(told(event)); });
  addEventListener("pointerout", (event) => { if (event.pointerType === "mouse") hide(); });
  addEventListener("focusin", (event) => {
    if (event.target.matches(":focus-visible")) show(told(event));
  });
  addEventListener("focusout", hide);
  addEventListener("click", (event) => {
    const target = told(event) ?? nearest(event);
    if (target) show(target); else hide();
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { passive: true, capture: true });
}
