"use strict";
/* Student's t, adjusted p values and the verdict rule, as the analysis has them. Sources: the
   continued fraction of the incomplete beta integral (Didonato & Morris 1992, by Lentz's method);
   Holm 1979; Benjamini & Hochberg 1995. A df of Infinity is the normal limit. */
const statistics = (() => {
  const TINY = 1e-300, PRECISION = 1e-16, MOST_TERMS = 100000, MOST_STEPS = 200;
  const SERIES = [-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224];
  const ASYMPTOTIC = 20;

  /* 1 / (1 + a1 / (1 + a2 / (1 + ...))) of the coefficients `a(k)`, k >= 1. */
  const continued = (a) => {
    let c = 1, d = 0, value = 1;
    for (let k = 1; k < MOST_TERMS; k += 1) {
      d = 1 / (1 + a(k) * d || TINY);
      c = 1 + a(k) / c || TINY;
      value *= c * d;
      if (Math.abs(c * d - 1) < PRECISION) break;
    }
    return 1 / value;
  };

  /* log(gamma(a + 1/2) / gamma(a)): a series in 1/a, where a small a is first raised by ones. */
  const logGammaRatio = (a) => {
    let shift = 0, z = a;
    for (; z < ASYMPTOTIC; z += 1) shift += Math.log1p(0.5 / z);
    const tail = SERIES.reduce((sum, factor, k) => sum + factor / z ** (2 * k + 1), 0);
    return 0.5 * Math.log(z) + tail - shift;
  };

  /* The incomplete beta integral I_x(a, b), given the logs of x and 1 - x, and log beta(a, b). */
  const fraction = (a, b, x) => continued((k) => {
    const m = k >> 1;
    return k % 2
      ? -((a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
      : (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
  });

  const studentTail = (t, df) => {
    const ratio = t / Math.sqrt(df), square = ratio * ratio;
    const logScale = ratio < 1e8 ? Math.log1p(square) : 2 * Math.log(ratio);
    const a = df / 2, x = 1 / (1 + square);
    const logBeta = 0.5 * Math.log(Math.PI) - logGammaRatio(a);
    const power = Math.exp(-a * logScale - logBeta) * (ratio < 1e8 ? Math.sqrt(square * x) : 1);
    if (x < (a + 1) / (a + 2.5)) return (0.5 * power * fraction(a, 0.5, x)) / a;
    return 0.5 - power * fraction(0.5, a, square * x);
  };

  const normalTail = (z) => {
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    if (z > 2.5) return (density / z) * continued((k) => k / (z * z));
    let sum = 0;
    for (let term = z, k = 1; term > PRECISION * sum; k += 1, term *= (z * z) / (2 * k - 1)) {
      sum += term;
    }
    return 0.5 - density * sum;
  };

  /* P(T > t). */
  const upperTail = (t, df) => {
    if (Number.isNaN(t) || !(df > 0)) return NaN;
    if (t < 0) return 1 - upperTail(-t, df);
    if (t === 0) return 0.5;
    if (t === Infinity) return 0;
    return df === Infinity ? normalTail(t) : studentTail(t, df);
  };

  const twoSided = (t, df) => 2 * upperTail(Math.abs(t), df);

  const logDensity = (t, df) => {
    if (df === Infinity) return (-t * t) / 2 - 0.5 * Math.log(2 * Math.PI);
    const ratio = t / Math.sqrt(df);
    const logScale = ratio < 1e8 ? Math.log1p(ratio * ratio) : 2 * Math.log(ratio);
    return logGammaRatio(df / 2) - 0.5 * Math.log(Math.PI * df) - ((df + 1) / 2) * logScale;
  };

  /* Where to start: the normal's rough quantile, stretched as the tails of t are; its log. */
  const roughLog = (tail, df) => {
    const square = Math.max(-2 * Math.log(2 * tail), 1e-8);
    if (df === Infinity || square / df < 1e-8) return 0.5 * Math.log(square);
    const grown = square / df > 30 ? square / df : Math.log(Math.expm1(square / df));
    return 0.5 * (Math.log(df) + grown);
  };

  /* The t with P(T > t) = tail, 0 < tail <= 1/2: Newton's steps for log P in log t, which is
     concave there, so that they arrive from any start. */
  const upperQuantile = (tail, df) => {
    if (!(tail > 0 && tail <= 0.5) || !(df > 0)) return NaN;
    if (tail === 0.5) return 0;
    let logT = roughLog(tail, df);
    for (let k = 0; k < MOST_STEPS; k += 1) {
      const t = Math.exp(logT), reached = upperTail(t, df);
      const slope = Math.exp(logDensity(t, df) + logT) / reached;
      const step = Math.log(reached / tail) / slope;
      logT += step;
      if (Math.abs(step) < 4 * PRECISION) break;
    }
    return Math.exp(logT);
  };

  const halfWidth = (se, df, alpha) => upperQuantile(alpha / 2, df) * se;

  /* p.adjust of R; NaN stay NaN, `members` are the size of the family. */
  const adjusted = (p, method, members) => {
    if (method === "none") return [...p];
    if (method === "bonferroni") return p.map((value) => Math.min(value * members, 1));
    const out = p.map(() => NaN);
    const order = p.map((_, place) => place).filter((place) => !Number.isNaN(p[place]));
    order.sort((i, j) => p[i] - p[j] || i - j);
    if (method === "holm") {
      let largest = 0;
      order.forEach((place, rank) => {
        largest = Math.max(largest, (members - rank) * p[place]);
        out[place] = Math.min(largest, 1);
      });
    } else {
      let smallest = Infinity;
      order.map((place, rank) => [place, rank + 1]).reverse().forEach(([place, rank]) => {
        smallest = Math.min(smallest, (members / rank) * p[place]);
        out[place] = Math.min(smallest, 1);
      });
    }
    return out;
  };
  const STEPWISE = ["none", "holm", "bh", "bonferroni"];
  const adjust = (p, method) => adjusted(p, method, p.filter((value) => !Number.isNaN(value)).length);

  const partsOf = (row) => (row.parts && row.parts.length ? row.parts : [row]);

  /* P value of an effect within +-margin, both tails; the largest of the parts. */
  const beyond = (row, margin) => {
    const values = partsOf(row).map(({ estimate, se, df }) => {
      if (!(se > 0)) return NaN;
      const [near, far] = [-margin, margin].map((m) => upperTail((Math.abs(estimate) + m) / se, df));
      return Math.min(near + far, 1);
    });
    return values.some(Number.isNaN) ? NaN : Math.max(...values);
  };

  /* Adjusted p values of effects within +-margin. An adjustment that is made for zero effects only
     gives way to Holm's; rows without a p belong to no family, `unbounded` ones are not tested. */
  const marginP = (family, margin, adjustment) => {
    if (margin === null) return family.map(() => NaN);
    const method = STEPWISE.includes(adjustment) ? adjustment : "holm";
    const tested = (row) => !Number.isNaN(row.p) && !row.unbounded;
    return adjust(family.map((row) => (tested(row) ? beyond(row, margin) : NaN)), method);
  };

  /* The interval of a row at 1 - alpha and 1 - 2 alpha; of its parts the widest decides. */
  const intervals = (row, alpha) => {
    const parts = partsOf(row);
    const widest = (level) => Math.max(...parts.map(({ se, df }) => halfWidth(se, df, level)));
    const outer = widest(alpha), inner = widest(2 * alpha);
    const decides = parts.find(({ se, df }) => halfWidth(se, df, alpha) === outer) ?? row;
    const estimate = row.parts && row.parts.length ? decides.estimate : row.estimate;
    return {
      estimate, low: estimate - outer, high: estimate + outer,
      lowEquivalence: estimate - inner, highEquivalence: estimate + inner,
    };
  };

  /* Direction and size of one row; a row without an interval (a permutation test) has no size. */
  const verdictOf = (row, at, margins, rule) => {
    const inside = rule.margin !== null && !row.unbounded
      && -rule.margin < at.lowEquivalence && at.highEquivalence < rule.margin;
    if (row.p_adjusted < rule.alpha) {
      const verdict = at.estimate > 0 ? rule.rise : rule.fall;
      if (rule.margin === null || Number.isNaN(at.low)) return { verdict, size: null };
      if (margins < rule.alpha / 2) return { verdict, size: "by_more" };
      return { verdict, size: inside ? "less" : "open" };
    }
    return { verdict: inside ? "equivalent" : "inconclusive", size: null };
  };

  /* Every row of one family under a rule {alpha, margin or null, adjustment, rise, fall}. Rows with
     a `fixed` verdict (identical, not estimated) keep it. */
  const judge = (family, rule) => {
    const margins = marginP(family, rule.margin, rule.adjustment);
    return family.map((row, place) => {
      const at = intervals(row, rule.alpha), marginPAdjusted = margins[place];
      if (row.fixed) return { ...at, marginPAdjusted, verdict: row.fixed, size: null };
      return { ...at, marginPAdjusted, ...verdictOf(row, at, marginPAdjusted, rule) };
    });
  };

  return { upperTail, twoSided, upperQuantile, halfWidth, adjusted, beyond, marginP, intervals, judge };
})();
