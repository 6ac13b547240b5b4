"""The works that a methods paragraph may rely on, as text and as BibTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablatekit.analysis.core.lookup import (
    adjustments_of,
    all_main_effects,
    configuration_families,
    has_carry_over,
    has_mixed_effects,
)
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.language.reading import flatten


@dataclass(frozen=True, slots=True)
class Reference:
    """One work: its BibTeX key and kind, the entry's fields, and the line that a page shows."""

    key: str
    kind: str
    text: str
    fields: Sequence[tuple[str, str]]

    def is_cited(self, text: str) -> bool:
        """Whether a text names its first author and its year."""
        author = self.text.split(",")[0].split(" ")[0]
        return author in text and dict(self.fields)["year"] in text

    def bibtex(self) -> str:
        """The BibTeX entry."""
        lines = "".join(f",\n  {name} = {{{value}}}" for name, value in self.fields)
        return f"@{self.kind}{{{self.key}{lines}\n}}\n"


HOLM = Reference(
    "holm1979",
    "article",
    "Holm, S. (1979). A simple sequentially rejective multiple test procedure."
    " Scandinavian Journal of Statistics 6, 65-70.",
    [
        ("author", "Holm, Sture"),
        ("title", "A simple sequentially rejective multiple test procedure"),
        ("journal", "Scandinavian Journal of Statistics"),
        ("year", "1979"),
        ("volume", "6"),
        ("pages", "65--70"),
    ],
)
SCHUIRMANN = Reference(
    "schuirmann1987",
    "article",
    "Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power"
    " approach for assessing the equivalence of average bioavailability."
    " Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.",
    [
        ("author", "Schuirmann, Donald J."),
        (
            "title",
            (
                "A comparison of the two one-sided tests procedure and the power approach for"
                " assessing the equivalence of average bioavailability"
            ),
        ),
        ("journal", "Journal of Pharmacokinetics and Biopharmaceutics"),
        ("year", "1987"),
        ("volume", "15"),
        ("pages", "657--680"),
    ],
)
KENWARD_ROGER = Reference(
    "kenward1997",
    "article",
    "Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from"
    " restricted maximum likelihood. Biometrics 53, 983-997.",
    [
        ("author", "Kenward, Michael G. and Roger, James H."),
        (
            "title",
            "Small sample inference for fixed effects from restricted maximum likelihood",
        ),
        ("journal", "Biometrics"),
        ("year", "1997"),
        ("volume", "53"),
        ("pages", "983--997"),
    ],
)
BROWN_FORSYTHE = Reference(
    "brown1974",
    "article",
    "Brown, M. B. and Forsythe, A. B. (1974). Robust tests for the equality of variances."
    " Journal of the American Statistical Association 69, 364-367.",
    [
        ("author", "Brown, Morton B. and Forsythe, Alan B."),
        ("title", "Robust tests for the equality of variances"),
        ("journal", "Journal of the American Statistical Association"),
        ("year", "1974"),
        ("volume", "69"),
        ("pages", "364--367"),
    ],
)
AGARWAL = Reference(
    "agarwal2021",
    "inproceedings",
    "Agarwal, R., Schwarzer, M., Castro, P. S., Courville, A. and Bellemare, M. G. (2021). Deep"
    " reinforcement learning at the edge of the statistical precipice. Advances in Neural"
    " Information Processing Systems 34.",
    [
        (
            "author",
            (
                "Agarwal, Rishabh and Schwarzer, Max and Castro, Pablo Samuel and Courville, Aaron"
                " and Bellemare, Marc G."
            ),
        ),
        ("title", "Deep reinforcement learning at the edge of the statistical precipice"),
        ("booktitle", "Advances in Neural Information Processing Systems"),
        ("year", "2021"),
        ("volume", "34"),
    ],
)
XIE = Reference(
    "xie2026",
    "misc",
    "Xie et al. (2026). Demystifying Design Choices of Reinforcement Fine-tuning: A Batched"
    " Contextual Bandit Learning Perspective. arXiv:2601.22532.",
    [
        ("author", "Xie and others"),
        (
            "title",
            (
                "Demystifying Design Choices of Reinforcement Fine-tuning: A Batched Contextual"
                " Bandit Learning Perspective"
            ),
        ),
        ("year", "2026"),
        ("note", "arXiv:2601.22532"),
    ],
)


DUNNETT = Reference(
    "dunnett1955",
    "article",
    "Dunnett, C. W. (1955). A multiple comparison procedure for comparing several treatments with a"
    " control. Journal of the American Statistical Association 50, 1096-1121.",
    [
        ("author", "Dunnett, Charles W."),
        (
            "title",
            ("A multiple comparison procedure for comparing several treatments with a control"),
        ),
        ("journal", "Journal of the American Statistical Association"),
        ("year", "1955"),
        ("volume", "50"),
        ("pages", "1096--1121"),
    ],
)
FIELLER = Reference(
    "fieller1954",
    "article",
    "Fieller, E. C. (1954). Some problems in interval estimation."
    " Journal of the Royal Statistical Society B 16, 175-185.",
    [
        ("author", "Fieller, Edgar C."),
        ("title", "Some problems in interval estimation"),
        ("journal", "Journal of the Royal Statistical Society B"),
        ("year", "1954"),
        ("volume", "16"),
        ("pages", "175--185"),
    ],
)
HSU = Reference(
    "hsu1984",
    "article",
    "Hsu, J. C. (1984). Constrained simultaneous confidence intervals for multiple comparisons with"
    " the best. Annals of Statistics 12, 1136-1144.",
    [
        ("author", "Hsu, Jason C."),
        (
            "title",
            (
                "Constrained simultaneous confidence intervals for multiple comparisons with the"
                " best"
            ),
        ),
        ("journal", "Annals of Statistics"),
        ("year", "1984"),
        ("volume", "12"),
        ("pages", "1136--1144"),
    ],
)


DUNNETT_FAMILIES = frozenset({"dunnett_family", "dunnett_bound"})
"""Codes of families of configurations that rest on Dunnett's distribution."""


def references(analysis: Analysis) -> list[Reference]:
    """Only the works that the report relies on, by author."""
    return list(_references(analysis))


def _references(analysis: Analysis) -> Iterator[Reference]:
    responses = analysis["responses"].values()
    if any(response.get("robust") for response in responses):
        yield AGARWAL
    if any(r.get("diagnostics", {}).get("brown_forsythe_p") is not None for r in responses):
        yield BROWN_FORSYTHE
    configured = [part["configurations"] for part in responses if "configurations" in part]
    if configuration_families(analysis) & DUNNETT_FAMILIES:
        yield DUNNETT
    if has_carry_over(analysis):
        yield FIELLER
    if "holm" in adjustments_of(analysis):
        yield HOLM
    if any(row["may_be_best"] is not None for part in configured for row in part["rows"]):
        yield HSU
    if has_mixed_effects(analysis) or any(
        effect["method"]["code"] == "kenward_roger" for effect in all_main_effects(analysis)
    ):
        yield KENWARD_ROGER
    if any(response["smallest_effect"] for response in responses):
        yield SCHUIRMANN
    if is_minimalist(analysis):
        yield XIE


def is_minimalist(analysis: Analysis) -> bool:
    """Whether the baseline is known to be one rollout per query and no advantage, in RFT."""
    study, design = analysis.get("study", {}), analysis.get("design")
    if not design:
        return False
    backend = study.get("backend")
    name = backend.get("name") if isinstance(backend, dict) else backend
    held = dict(flatten(design.get("held_equal") or {}))
    values = {
        **held,
        **{str(f["name"]): str(f["baseline"]) for f in design["factors"]},
    }
    return name == "rft" and (values.get("advantage"), values.get("rollouts")) == ("none", "1")
