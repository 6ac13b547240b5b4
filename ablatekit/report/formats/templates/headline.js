"use strict";
/* The headline under other bounds: the rule of ablatekit.report.brief.headline and its templates. */
const spokenHeadline = (api, fill, outcome) => {
  const { headline, questions } = api.data;
  const { templates, subjects, rule } = headline;
  const { scale } = subjects;

  const inUnit = (number) => (subjects.unit
    ? fill(templates.with_unit, { number, unit: subjects.unit }) : number);
  const isPriced = ({ price }) => price !== null && Math.abs(price - 1) > rule.same_price;
  const known = (value) => value !== undefined && value !== null && !Number.isNaN(value);

  /* Every level with the row that judges it on the two responses, in the order of the study. */
  const rowAt = (question, place) => {
    if (!place) return null;
    const row = questions[question].families[place[0]].rows[place[1]];
    const now = outcome[question][place[0]][place[1]];
    return row.fixed ? { ...row, verdict: row.fixed, size: null } : now;
  };
  const gains = headline.levels.map(({ name, price, rows }) => {
    const [row, beside = null] = rows.map((place, at) => rowAt(headline.questions[at], place));
    return {
      name, price, verdict: "not_estimated", size: null, ...(row ?? {}),
      second: beside ? beside.estimate : null,
      secondMoved: beside !== null && ["helps", "hurts"].includes(beside.verdict)
        && beside.size !== "less",
      secondOpen: beside !== null && ["inconclusive", "not_estimated"].includes(beside.verdict),
    };
  });
  const sizeOf = (gain) => (known(gain.estimate) ? Math.abs(gain.estimate) : 0);
  const ranked = [...gains].sort((a, b) => sizeOf(b) - sizeOf(a));

  /* Which sentences are said of which levels. */
  const moved = () => {
    const parts = [], many = ranked.length > rule.few_levels;
    const kinds = [
      ["helps", "helps", "helps"], ["hurts", "hurts", "hurts_too"], ["equivalent", "same", "same_too"],
    ];
    for (const [verdict, kind, after] of kinds) {
      const levels = ranked.filter((gain) => gain.verdict === verdict);
      const most = rule.named[verdict][many ? 1 : 0];
      if (levels.length) {
        parts.push({
          kind: parts.length ? after : kind, levels: levels.slice(0, most),
          more: Math.max(0, levels.length - most),
        });
      }
    }
    return parts;
  };
  const undecided = (levels, alone) => {
    const ends = levels.flatMap(({ low, high }) => [low, high]).filter(known).map(Math.abs);
    const reach = ends.length ? Math.max(...ends) : null;
    if (alone) return { kind: "nothing", levels: levels.slice(0, 1), reach };
    if (levels.length <= rule.named_open) return { kind: "open", levels };
    return { kind: "open_many", levels: [], reach, count: levels.length, all: gains.length };
  };
  const untested = () => {
    if (ranked.some(({ estimate }) => known(estimate))) {
      return { kind: "untested", levels: ranked.slice(0, 1), reason: headline.reason };
    }
    const identical = ranked.every(({ verdict }) => verdict === "identical");
    return { kind: identical ? "identical" : "empty", levels: [], reason: headline.reason };
  };
  const parts = moved();
  const open = ranked.filter(({ verdict }) => verdict === "inconclusive");
  if (open.length) parts.push(undecided(open, !parts.length));
  if (!parts.length) parts.push(untested());

  /* The sentences. */
  const endsOf = ({ low, high }) => ({ low: api.effect(scale, low), high: api.effect(scale, high) });
  const between = (gain) => (known(gain.low) && known(gain.high)
    ? fill(templates.between, endsOf(gain)) : "");
  const secondOf = (gain, named) => {
    if (!subjects.second || !known(gain.second)) return "";
    const template = (named ? "second" : "second_again") + (gain.secondOpen ? "_open" : "");
    return fill(templates[template], {
      response: subjects.second, gain: api.effect(scale, gain.second),
    });
  };
  const priceOf = (gain, free, again) => {
    if (!subjects.metric) return "";
    if (!known(gain.price)) return free ? templates.unpriced : "";
    const { metric } = subjects;
    if (!isPriced(gain)) return free ? fill(templates.free, { metric }) : "";
    const times = api.general(gain.price, 3);
    return fill(templates[again ? "price_again" : "price"], { times, metric });
  };
  const levelOf = (kind, gain, named, priced) => {
    const number = api.effect(scale, gain.estimate);
    const moves = ["helps", "hurts", "hurts_too"].includes(kind);
    return fill(templates.level, {
      name: gain.name,
      gain: named ? inUnit(number) : number,
      size: moves && gain.size ? fill(templates[`size_${gain.size}`], endsOf(gain)) : "",
      second: moves || gain.secondMoved ? secondOf(gain, named || !moves) : "",
      between: moves || kind === "same" || kind === "same_too" ? "" : between(gain),
      price: priceOf(gain, kind === "helps", priced),
    });
  };
  const levelsOf = (part, first) => {
    let priced = false;
    return part.levels.map((gain, place) => {
      const text = levelOf(part.kind, gain, first && place === 0, priced);
      priced = priced || isPriced(gain);
      return text;
    }).join("; ");
  };
  return parts.map((part, place) => {
    let levels = levelsOf(part, place === 0);
    if (part.more) levels = fill(templates.more, { levels, count: part.more });
    const reach = fill(templates.reach, { reach: inUnit(api.plain(scale, part.reach ?? null)) });
    return fill(templates[part.kind], {
      response: subjects.response, others: subjects.others, frame: place === 0 ? subjects.frame : "", levels, reach,
      reason: (part.reason ?? "").replace(/\.+$/, ""), count: part.count, all: part.all,
    });
  });
};
