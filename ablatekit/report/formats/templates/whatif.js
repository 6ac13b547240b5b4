"use strict";
/* The what-if: the answer under other bounds, and other choices. Every word comes with the data. */
const whatif = (() => {
  const source = document.getElementById("exploration");
  if (!source) return null;
  const data = JSON.parse(source.textContent);
  const words = data.words;
  const ALPHAS = [
    0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.007, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05,
    0.06, 0.07, 0.08, 0.1, 0.12, 0.15, 0.17, 0.2,
  ];
  const MARGIN_STEPS = 60, MARGIN_REACH = 3, MOST_DECIMALS = 6, MOST_LISTED = 12, LEAST_ALPHA = 0.001, MOST_ALPHA = 0.2;

  /* Templates and numbers, written as the report writes them. */
  const fill = (template, values) => template.replace(
    /\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  const minus = (text) => text.replaceAll("-", words.minus);
  const halfEven = (size, decimals) => {
    const text = size.toFixed(decimals);
    const exact = size.toFixed(Math.min(100, decimals + 40));
    const rest = exact.slice(exact.indexOf(".") + 1 + decimals);
    if (!/^50*$/.test(rest)) return text;
    const floor = exact.slice(0, decimals ? exact.indexOf(".") + 1 + decimals : exact.indexOf("."));
    return Number(floor.at(-1)) % 2 ? text : floor;
  };
  const fixed = (value, decimals) => {
    const [whole, part] = halfEven(Math.abs(value), decimals).split(".");
    const text = whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
    return value < 0 && /[1-9]/.test(text) ? words.minus + text : text;
  };
  const exponent = (value, digits) =>
    minus(value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2"));
  const withExponent = (value, decimals) => {
    if (Math.abs(value) < 0.5 * 10 ** -decimals) return "0";
    return exponent(value, Math.max(0, Math.floor(Math.log10(Math.abs(value))) + decimals));
  };
  const absent = (value) => value === null || Number.isNaN(value);
  const plain = ([factor, , decimals], value) => {
    if (absent(value)) return words.missing;
    return (decimals <= MOST_DECIMALS ? fixed : withExponent)(value * factor, decimals);
  };
  const effect = (scale, value) => {
    const text = plain(scale, value);
    return /[1-9]/.test(text) && !text.startsWith(words.minus) ? `+${text}` : text;
  };
  const interval = (scale, low, high) => (absent(low) || absent(high)
    ? words.missing : `[${plain(scale, low)}, ${plain(scale, high)}]`);
  const general = (value, digits = 4) => {
    if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e15)) {
      return exponent(value, digits - 1);
    }
    const magnitude = value ? Math.floor(Math.log10(Math.abs(value))) : 0;
    const text = fixed(value, Math.max(0, digits - 1 - magnitude));
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  };

  /* The rows as numbers: NaN where there is none, the normal limit where a p stands without df. */
  const number = (value) => (value === null ? NaN : value);
  const known = (row) => ({
    ...row, estimate: number(row.estimate), se: number(row.se), p: number(row.p),
    p_adjusted: number(row.p_adjusted), df: row.df === null && row.p !== null ? Infinity : number(row.df),
    parts: row.parts ?? [],
  });
  const families = data.questions.map((question) => question.families.map(
    (family) => ({ adjustment: family.adjustment, rows: family.rows.map(known) })));
  const declared = { alpha: data.alpha, margins: data.bounds.map((bound) => bound.margin) };
  const state = { alpha: declared.alpha, margins: [...declared.margins] };
  const isDeclared = (bounds) => bounds.alpha === declared.alpha
    && bounds.margins.every((margin, place) => margin === declared.margins[place]);

  const marginOf = (question, bounds) => {
    const margins = question.bounds.map((place) => bounds.margins[place]);
    return margins.includes(null) ? null : Math.min(...margins);
  };
  /* Every row of every family of every question under these bounds. */
  const judged = (bounds) => data.questions.map((question, at) => families[at].map((family) =>
    statistics.judge(family.rows, {
      alpha: bounds.alpha, margin: marginOf(question, bounds), adjustment: family.adjustment,
      rise: question.rise, fall: question.fall,
    })));
  /* The two rows of a level on a question that the answer shows, or null. */
  const shown = (outcome, question, level) => data.questions[question].shown[level].map(
    (place) => place && outcome[question][place[0]][place[1]]);
  const atDeclared = judged(declared);

  /* A part of a page: properties where it has them, else attributes. */
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class" || name.includes("-") || !(name in node)) node.setAttribute(name, value);
      else node[name] = value;
    }
    node.append(...children);
    return node;
  };
  const api = {
    data, statistics, fixed, general, plain, effect, interval, judged, shown, declared,
    headline: (bounds) => spokenHeadline(api, fill, judged(bounds)),
  };
  api.choosing = data.choices ? chooser(api, make, fill) : null;
  const section = document.getElementById("what-if");
  if (!section) return api;

  const sized = (row) => [data.looks[row.verdict][0], data.sizes[row.size]].filter(Boolean).join(", ");
  const same = (a, b) => a.verdict === b.verdict && a.size === b.size;
  /* The rows of a level as the table words them: the one beside has a direction only. */
  const worded = (outcome, question, level) => {
    const [row, beside] = shown(outcome, question, level);
    return [row, beside && { ...beside, size: null }];
  };
  const fixedRow = (question, level) => {
    const place = data.questions[question].shown[level][0];
    return !place || data.questions[question].families[place[0]].rows[place[1]].fixed !== undefined;
  };

  /* The answer table: copies of its entries are rewritten, and the printed ones come back. */
  const answer = document.getElementById("answer-table");
  const printed = new Map();
  const entries = data.levels.map(([factor, level]) => {
    const row = [...(answer ? answer.tBodies[0].rows : [])].find(
      (one) => one.dataset.factor === factor && one.dataset.level === level);
    return data.questions.map((question) => (row
      ? [...row.cells].find((cell) => cell.dataset.response === question.name) : undefined));
  });
  const rewriteBadge = (part, row, before) => {
    const badge = part && part.querySelector(".badge");
    if (!badge) return;
    const [word, tone, icon] = data.looks[row.verdict];
    badge.className = `badge ${tone}`;
    badge.dataset.verdict = row.verdict;
    delete badge.dataset.size;
    if (row.size) badge.dataset.size = row.size;
    badge.querySelector(".icon").setAttribute("class", `icon ${tone}`);
    badge.querySelector("use").setAttribute("href", `#i-${icon}`);
    badge.lastChild.textContent = word;
    part.querySelectorAll(".size, .note").forEach((node) => node.remove());
    if (row.size) part.append(" ", make("small", { class: "size" }, data.sizes[row.size]));
    if (same(row, before)) return;
    part.classList.add("changed");
    const text = fill(words.declared, { value: sized(before) });
    part.append(" ", make("small", { class: "note" }, text));
  };
  const rewriteEstimate = (part, row, scale) => {
    if (!part) return;
    part.querySelector("strong").textContent = effect(scale, row.estimate);
    const limits = part.querySelector(".note:not(.said)");
    if (limits) limits.textContent = interval(scale, row.low, row.high);
  };
  const rewriteEntry = (entry, question, level, outcome) => {
    if (!printed.has(entry)) printed.set(entry, [...entry.childNodes]);
    entry.replaceChildren(...printed.get(entry).map((node) => node.cloneNode(true)));
    const [row, beside] = worded(outcome, question, level);
    const [before, besideBefore] = worded(atDeclared, question, level);
    const badges = entry.querySelectorAll(".judged");
    if (!fixedRow(question, level)) {
      rewriteBadge(badges[0], row, before);
      rewriteEstimate(entry.querySelector(".effect"), row, data.questions[question].scale);
    }
    if (beside) rewriteBadge(badges[1], beside, besideBefore);
  };
  const everyEntry = (act) => entries.forEach((row, level) => row.forEach((entry, question) => {
    if (entry) act(entry, question, level);
  }));
  const restore = () => printed.forEach((nodes, entry) => entry.replaceChildren(...nodes));

  /* The headline and the banner. */
  const headline = document.querySelector("[data-headline]")?.parentElement;
  const sentences = headline ? [...headline.childNodes] : [];
  const banner = make("div", { class: "exploring", role: "status", hidden: true });
  const back = () => {
    Object.assign(state, { alpha: declared.alpha, margins: [...declared.margins] });
    controls.forEach((control) => control.show());
    update();
  };
  const resetButton = () => {
    const button = make("button", { type: "button", class: "reset" }, words.reset);
    button.addEventListener("click", back);
    return button;
  };
  const said = make("span");
  banner.append(said, " ", resetButton());
  (document.querySelector("main") ?? document.body).prepend(banner);

  const told = (bounds) => {
    const margins = data.bounds.map(({ factor, said_unit: unit }, place) => {
      const margin = bounds.margins[place];
      if (margin === null) return "";
      return fill(unit ? words.with_unit : words.plain_margin, {
        value: general(margin * factor), unit,
      });
    }).filter(Boolean);
    const shownMargins = margins.length ? [...new Set(margins)] : [words.no_margin];
    return [fill(words.at_alpha, { alpha: general(bounds.alpha) }), ...shownMargins].join(", ");
  };
  const showDeclared = () => {
    document.documentElement.classList.remove("is-exploring");
    banner.hidden = true;
    restore();
    if (headline) headline.replaceChildren(...sentences);
  };
  const showExplored = (outcome) => {
    document.documentElement.classList.add("is-exploring");
    banner.hidden = false;
    said.textContent = fill(words.exploring, { now: told(state), declared: told(declared) });
    const spoken = spokenHeadline(api, fill, outcome);
    if (headline) headline.replaceChildren(...spoken.flatMap((text) => [make("span", {}, text), " "]));
    preview.textContent = spoken.join(" ");
    everyEntry((entry, question, level) => rewriteEntry(entry, question, level, outcome));
  };

  /* What changes, for who does not see the table. */
  const changes = (outcome) => {
    const listed = [];
    let all = 0;
    data.questions.forEach((question, at) => data.levels.forEach((level, place) => {
      worded(outcome, at, place).forEach((row, side) => {
        const before = worded(atDeclared, at, place)[side];
        if (!row || before.verdict === "identical" || before.verdict === "not_estimated") return;
        all += 1;
        if (same(row, before)) return;
        const name = side ? question.beside[place] : question.title;
        listed.push(fill(words.change, {
          name, level: data.names[place], before: sized(before), after: sized(row),
        }));
      });
    }));
    return { listed, all };
  };
  const preview = make("p", { class: "preview" });
  const summary = make("p", { class: "summary" });
  const list = make("ul", { class: "changes" });
  const tell = (outcome, exploring) => {
    const { listed, all } = changes(outcome);
    const count = { changed: listed.length, all };
    summary.textContent = !exploring ? "" : fill(listed.length ? words.changed : words.same, count);
    const most = listed.slice(0, MOST_LISTED).map((text) => make("li", {}, text));
    if (listed.length > MOST_LISTED) {
      most.push(make("li", {}, fill(words.more, { count: listed.length - MOST_LISTED })));
    }
    list.replaceChildren(...(exploring ? most : []));
  };

  /* One bound: a slider and a field for the same number. */
  let made = 0;
  const bound = ({ text, hint, steps, read, write, valid, toStep }) => {
    made += 1;
    const id = `what-if-${made}`;
    const slider = make("input", {
      type: "range", min: 0, max: steps.length - 1, step: 1, id: `${id}-slider`, "aria-label": text,
    });
    const field = make("input", {
      type: "number", step: "any", min: 0, id, placeholder: steps[0] === null ? words.none : "",
      "aria-describedby": `${id}-hint`,
    });
    const spoken = (value) => (value === null ? words.none_declared : general(value, 6));
    const show = () => {
      const value = read();
      field.value = value === null ? "" : String(value);
      field.removeAttribute("aria-invalid");
      slider.value = toStep(value);
      slider.setAttribute("aria-valuetext", spoken(value));
    };
    slider.addEventListener("input", () => {
      write(steps[Number(slider.value)]);
      show();
      update();
    });
    field.addEventListener("input", () => {
      const value = field.value.trim() === "" ? null : Number(field.value);
      const bad = field.validity.badInput || !valid(value);
      field.toggleAttribute("aria-invalid", bad);
      if (bad) { field.setAttribute("aria-invalid", "true"); return; }
      write(value);
      slider.value = toStep(value);
      slider.setAttribute("aria-valuetext", spoken(value));
      update();
    });
    field.addEventListener("change", show);
    const part = make("div", { class: "bound" },
      make("label", { htmlFor: id }, text), make("div", { class: "setting" }, slider, field),
      make("small", { class: "note", id: `${id}-hint` }, hint));
    show();
    return { part, show };
  };
  const nearest = (steps, value) => {
    let best = 0;
    steps.forEach((step, place) => {
      const far = (at) => Math.abs((steps[at] ?? 0) - (value ?? 0));
      if ((step === null) === (value === null) && far(place) <= far(best)) best = place;
    });
    return best;
  };
  const alphaBound = () => {
    const steps = [...new Set([...ALPHAS, declared.alpha])].sort((a, b) => a - b);
    return bound({
      text: words.alpha, steps, hint: fill(words.declared, { value: general(declared.alpha) }),
      read: () => state.alpha, write: (value) => { state.alpha = value; },
      valid: (value) => value !== null && value >= LEAST_ALPHA && value <= MOST_ALPHA,
      toStep: (value) => nearest(steps, value),
    });
  };
  const tidy = (value) => Number(value.toPrecision(12));
  const largestEstimate = (place) => Math.max(0, ...data.questions.flatMap((question, at) => (
    question.bounds.includes(place)
      ? families[at].flatMap(({ rows }) => rows.map((row) => Math.abs(row.estimate) || 0)) : [])));
  const marginSteps = (place, { margin, factor }) => {
    const reach = margin ? MARGIN_REACH * margin * factor : 2 * largestEstimate(place) * factor || 1;
    const rounded = margin ? reach : Number(reach.toPrecision(1));
    const steps = Array.from({ length: MARGIN_STEPS + 1 },
      (_, step) => tidy((step * rounded) / MARGIN_STEPS));
    return margin === null ? [null, ...steps.slice(1)] : steps;
  };
  const marginBound = (place) => {
    const { margin, factor, unit, labels, shown: text } = data.bounds[place];
    const steps = marginSteps(place, data.bounds[place]);
    const name = fill(words.margin, { labels: labels.join(", ") });
    const declaredValue = margin === null ? null : tidy(margin * factor);
    return bound({
      text: unit ? fill(words.in_unit, { text: name, unit }) : name, steps,
      hint: margin === null ? words.none_declared : fill(words.declared, { value: text }),
      read: () => {
        const value = state.margins[place];
        if (value === null) return null;
        return value === margin ? declaredValue : tidy(value * factor);
      },
      write: (value) => {
        if (value === null) state.margins[place] = null;
        else state.margins[place] = value === declaredValue ? margin : value / factor;
      },
      valid: (value) => (value === null ? margin === null : value >= 0 && Number.isFinite(value)),
      toStep: (value) => nearest(steps, value),
    });
  };
  const controls = [alphaBound(), ...data.bounds.map((_, place) => marginBound(place))];

  const update = () => {
    const exploring = !isDeclared(state);
    const outcome = exploring ? judged(state) : atDeclared;
    if (exploring) showExplored(outcome); else showDeclared();
    tell(outcome, exploring);
    reset.disabled = !exploring;
    kept.hidden = !exploring;
    preview.hidden = !exploring;
    if (api.choosing) api.choosing.show(state.alpha);
  };
  const reset = resetButton();
  const kept = make("p", { class: "note" }, words.kept);
  const live = make("div", { "aria-live": "polite" }, preview, summary, list, kept);
  section.append(make("p", { class: "lead" }, words.lead), make("div", { class: "what-ifs" },
    make("div", { class: "bounds", role: "group", "aria-label": words.bounds },
      make("h3", {}, words.bounds), ...controls.map(({ part }) => part), reset, live),
    ...(api.choosing ? [api.choosing.part] : [])));
  section.hidden = false;
  addEventListener("beforeprint", showDeclared);
  addEventListener("afterprint", update);
  update();
  return { ...api, state, update };
})();
