"use strict";
/* Other choices: a level of every factor, and what the cells that ran predict for them. */
const chooser = (api, make, fill) => {
  const { data, statistics, plain, effect, interval } = api;
  const { words, choices } = data;
  const { factors } = choices;
  const name = (place) => place.join(" ");
  const whole = new Map(choices.same.flatMap((group) => group.map((place) => [name(place), group])));
  const cells = choices.responses.map(
    ({ rows }) => new Map(rows.map((row) => [name(row.at), row])));
  /* The cell of a combination on a response; combinations that are one run share theirs. */
  const cellOf = (response, place) => {
    const group = whole.get(name(place)) ?? [place];
    return group.map((one) => cells[response].get(name(one))).find(Boolean);
  };
  const ran = (place) => choices.responses.some((_, response) => cellOf(response, place));
  const baseline = factors.map((factor) => factor.baseline);

  /* Estimate with its interval at 1 - alpha, from [estimate, se, df, ...]. */
  const limits = ([estimate, se, df], alpha) => {
    if (se === null || df === null) return { estimate, low: NaN, high: NaN };
    const half = statistics.halfWidth(se, df, alpha);
    return { estimate, low: estimate - half, high: estimate + half };
  };
  /* One cell minus another that ran in the same contexts: errors add; df are Welch's unless
     both have the pooled variance. Null where their contexts differ. */
  const difference = (one, other) => {
    if (one.where !== other.where) return null;
    const [a, seA, dfA, why] = one.mean, [b, seB, dfB] = other.mean;
    if (seA === null || seB === null) return [a - b, null, null, why ?? other.mean[3]];
    const [u, v] = [seA ** 2, seB ** 2];
    const df = one.pooled && other.pooled ? dfA : (u + v) ** 2 / (u ** 2 / dfA + v ** 2 / dfB);
    return [a - b, Math.sqrt(u + v), df];
  };

  /* What is said of one combination on one response, with numbers as numbers. */
  const predict = (response, place, other, alpha) => {
    const cell = cellOf(response, place);
    if (!cell) return null;
    const against = other && cellOf(response, other);
    const known = (values) => (Array.isArray(values)
      ? { ...limits(values, alpha), why: values[3] } : { why: values });
    const out = { cell, mean: known(cell.mean), next: known(cell.new) };
    if (against === cell) return { ...out, same: true };
    if (other) {
      const values = against && difference(cell, against);
      out.gain = known(values ?? words.no_covariance);
      out.gainNext = { why: words.new_only_gain };
    } else if (cell.gain) {
      out.gain = known(cell.gain);
      out.gainNext = known(cell.gain_new);
    }
    return out;
  };

  const state = { place: [...baseline], other: null };
  const selects = factors.map((factor, at) => {
    const select = make("select", { id: `what-if-factor-${at}` });
    select.addEventListener("change", () => {
      state.place[at] = Number(select.value);
      refresh();
    });
    return select;
  });
  const options = () => selects.forEach((select, at) => {
    const shown = factors[at].levels.map((level, value) => {
      const place = state.place.map((now, factor) => (factor === at ? value : now));
      const text = ran(place) ? level : fill(words.not_run, { level });
      return make("option", { value, selected: value === state.place[at] }, text);
    });
    select.replaceChildren(...shown);
  });
  const others = make("select", { id: "what-if-other" });
  others.append(make("option", { value: "" }, words.baseline));
  const places = [...new Map(choices.responses.flatMap(({ rows }) => rows.map(
    (row) => [name(row.at), row.at]))).values()];
  const called = (place) => place.map((level, at) => `${factors[at].label}: ${factors[at].levels[level]}`)
    .filter((_, at) => place[at] !== baseline[at]).join(", ");
  places.forEach((place, value) => {
    if (called(place)) others.append(make("option", { value }, called(place)));
  });
  others.addEventListener("change", () => {
    state.other = others.value === "" ? null : places[Number(others.value)];
    refresh();
  });

  const entry = (scale, known, where, write) => {
    const first = make("span", { class: "where" }, where);
    if (known.estimate === undefined) {
      return make("div", {}, first, " ", make("small", { class: "note" }, known.why));
    }
    const number = make("strong", {}, write(scale, known.estimate));
    const parts = Number.isNaN(known.low)
      ? make("small", { class: "note" }, known.why ?? "")
      : make("span", { class: "limits" }, interval(scale, known.low, known.high));
    return make("div", {}, first, " ", number, " ", parts);
  };
  const scopeOf = (known) => (known.estimate === undefined ? words.elsewhere : known.why);
  const cellText = (scale, here, next, write) => {
    const parts = [entry(scale, here, choices.here, write)];
    if (next) {
      const shown = next.estimate === undefined ? next : { ...next, why: undefined };
      parts.push(entry(scale, shown, scopeOf(next), write));
    }
    return parts;
  };
  /* Why nothing is predicted beyond, where that is the same for every response: said once. */
  const lacking = (every) => {
    const nexts = every.filter(Boolean).flatMap(({ next, gainNext }) => [next, gainNext ?? next]);
    const [first] = nexts;
    const same = nexts.every(({ estimate, why }) => estimate === undefined && why === first.why);
    return first && same ? first.why : "";
  };
  const rowOf = (response, told, lacked) => {
    const scale = data.questions[response.question].scale;
    const title = make("th", { scope: "row" }, response.label,
      ...(response.unit ? [" ", make("small", { class: "note" }, response.unit)] : []));
    if (!told) return make("tr", {}, title, make("td", { colSpan: 2 }, words.never_ran));
    const gain = told.gain
      ? cellText(scale, told.gain, lacked ? null : told.gainNext, effect)
      : [told.same ? words.same_cell : words.is_baseline];
    return make("tr", {}, title,
      make("td", { "data-label": words.predicted }, ...cellText(scale, told.mean, lacked ? null : told.next, plain)),
      make("td", { "data-label": state.other ? words.difference : words.gain }, ...gain));
  };
  const notes = () => {
    const labels = new Map();
    choices.responses.forEach(({ label }, at) => {
      const cell = cellOf(at, state.place);
      if (cell) labels.set(cell.size, [...(labels.get(cell.size) ?? []), label]);
    });
    const sizes = [...labels].map(
      ([size, of]) => fill(words.mean_of, { labels: of.join(", "), size }));
    const price = (place) => {
      const every = choices.responses.map((_, at) => place && cellOf(at, place));
      return every.map((cell) => cell?.price).find(Boolean);
    };
    const own = price(state.place), other = price(state.other);
    const prices = [own && fill(words.price, { price: own }),
      other && fill(words.other_price, { price: other })];
    return [...prices.filter(Boolean), ...sizes].map((text) => make("p", { class: "note" }, text));
  };
  const output = make("div", { class: "predictions", "aria-live": "polite" });
  let alpha = data.alpha;
  const refresh = () => {
    options();
    if (!ran(state.place)) {
      output.replaceChildren(make("p", { class: "not-run" }, words.never_ran));
      return;
    }
    const every = choices.responses.map((_, at) => predict(at, state.place, state.other, alpha));
    const lacked = lacking(every);
    const heads = [words.response, words.predicted, state.other ? words.difference : words.gain];
    output.replaceChildren(
      make("table", {}, make("thead", {}, make("tr", {}, ...heads.map(
        (text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...choices.responses.map((response, at) => rowOf(response, every[at], lacked)))),
      ...(lacked ? [make("p", { class: "note" }, fill(words.lacking, { why: lacked }))] : []),
      ...notes());
  };
  const labelled = (label, select) => make("div", { class: "choice" },
    make("label", { htmlFor: select.id }, label), select);
  const part = make("div", { class: "choices", role: "group", "aria-label": words.choices },
    make("h3", {}, words.choices),
    make("div", { class: "selects" },
      ...selects.map((select, at) => labelled(factors[at].label, select)),
      labelled(words.against, others)),
    output);
  return {
    part, predict,
    show: (level) => { alpha = level; refresh(); },
  };
};
