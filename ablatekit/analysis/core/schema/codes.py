"""Every statement that an analysis makes, by its stable code, with the names of its arguments.

Analysis says what it has to tell as a code with arguments; `ablatekit.report.language` alone turns
them into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

VarianceSource: TypeAlias = Literal["design", "contexts", "runs", "items", "draws"]
"""Where item outcomes vary; `draws` is what is left, the run by item part included."""

Code: TypeAlias = Literal[
    # what a contrast lacks
    "no_matched_pair", "no_pair_at_baseline", "no_pair_off_baseline", "no_quadruple",
    "incomplete_for_shapley", "shapley_is_average", "identical_runs", "no_shared_runs",
    "no_level_pair", "no_pair_in_context", "one_level_inside", "never_in_one_context",
    "no_run_at_level", "aliased_with", "no_baseline_cell", "no_common_context", "no_full_order",
    "not_estimable", "aliased", "aliased_below_order",
    "zero_by_assumption",
    # what an error term lacks
    "no_response_value", "no_run_value", "no_replicates", "identical_replicates",
    "constant_response", "no_error_left", "no_residual_variance", "no_df_left", "model_refused",
    # what inference over contexts lacks
    "same_in_every_level", "no_effect_on_learning", "best_needs_equal_variances",
    "no_contexts_in_formula", "no_blocking_variable", "too_few_levels",
    # what a regression on a covariate lacks, and what it reaches for
    "nested_variable", "constant_covariate", "on_a_line", "extrapolated",
    # what companions lack
    "unmatched_level", "one_run_per_cell", "shared_runs", "unequal_runs", "too_many_runs",
    "correlated_slope", "failed_bootstraps", "few_kenward_roger_df", "mixed_model",
    # what a comparison of two responses or studies lacks
    "no_run_of_both", "unlike_responses", "unlike_studies", "no_standard_error",
    "no_variation_in_either", "few_shared_contexts",
    # notes on effects
    "assumes_order", "model_based", "same_runs_in", "contexts_left_out", "compared_inside",
    "dunnett_family", "dunnett_bound", "welch_family",
    "goes_along", "own_levels", "widest_of_one_way", "not_crossed", "decided_by",
    # what a row averages over, and its family
    "over_combinations", "at_baseline", "off_baseline", "over_orders", "over_factors", "over_scope",
    "cell_against_baseline", "effect_family", "marginal_family", "dose_family",
    # methods
    "cell_means_t", "welch_t", "hidden_replication_t", "truncated_t", "contexts_t", "levels_t",
    "widest_t",
    "independent_t", "shared_contexts_t", "satterthwaite", "kenward_roger", "residual",
    "asymptotic",
    "saturated_cell_means", "truncated_least_squares", "reml", "ml", "ols", "laplace", "dl", "pm",
    "he", "sj", "ee", "stratified_bootstrap",
    # analysis of variance
    "cell_anova", "no_factor_varies", "no_response_varies", "aliased_term", "is_error",
    "no_error_to_test", "formula_anova", "residual_anova", "chi_square_anova", "no_meta_anova",
    "tests_observed_cells", "tests_at_mean", "tests_at_zero", "empty_size_intervals",
    # footers of tables
    "narrow_inference", "broad_inference", "conditional_on_evaluation", "truncated_model",
    "own_variances", "not_adjusted", "adjusted", "verdict_rule", "average_effect",
    "baseline_effect", "removal_effect", "shapley_value", "interaction", "context_effects",
    "heterogeneity", "learning_curves", "part_of_items", "metric_meaning", "held_equal",
    "matched_cells", "item_model", "levels_withheld", "levels_at_shared_cells",
    "gap", "gap_method", "gap_adjustment", "gap_rule", "no_gap", "marginal_means",
    "probability_effects", "baselines", "coding_of_satterthwaite",
    # what a second opinion leaves out
    "too_large_to_recompute", "empty_cells", "no_counterpart",
    "no_optimum", "lower_optimum", "second_opinion_failed", "second_opinion_late",
    "no_statsmodels",
    # diverged, failed and left-out runs
    "score_policy", "worst_policy", "exclude_policy", "complete_rows_policy", "diverged_left_out",
    "diverged_with_score", "diverged_without_score", "diverged_with_worst", "never_reached",
    "without_metric", "without_area", "without_part", "ended_on_part",
    "without_result", "unsteady_cells", "unpaired_runs", "constant_gap", "outcomes_left_out",
    "run_message",
    # diagnostics
    "unequal_variances", "near_bounds", "gap_near_bounds", "repeated_histories", "unequal_starts",
    "starts_at_worst", "starts_at_best",
    "few_error_cells", "uneven_contexts", "shorter_broad",
    # what a table holds
    "absent_words", "direction_guessed", "spelling_variants", "repeated_rows", "hidden_factor",
    "outcomes_agree", "tested_by_permutation", "permutation_test", "failed_left_out",
    # where runs of other tools come from
    "unreadable_logs", "logs_cut",
    # what a proposal leaves out, and what it says of the runs
    "column_excluded", "column_filtered", "column_about", "column_constant", "column_unique",
    "column_many_values", "column_empty", "column_unnamed", "column_not_nameable",
    "column_repeated", "column_of_items", "column_measures", "column_not_asked",
    "column_combines", "column_same", "column_always_with", "column_decided_by", "column_follows",
    "column_gaps", "column_beyond", "column_too_few_runs",
    "always_together", "changed_together", "rows_doubled", "repeats_agree", "results_repeated",
    "one_seed", "one_seed_repeated", "seed_twice", "status_not_read", "runs_not_ended",
    "cells_without_runs", "unequal_replicates", "single_context",
    "lacks_rows", "lacks_response", "lacks_factor", "rows_per_step",
    # what a folder of logs holds
    "earlier_left_out", "copies_left_out", "retried_left_out", "no_settings_stated",
    "rows_repeated", "no_item_values", "unlike_outcomes", "same_items", "unlike_items",
    "items_without_outcome", "no_numbers",
    # how a fit went
    "gradient_not_zero", "local_minima", "zero_variance", "singular", "few_levels", "rows_left_out",
    "terms_aliased", "written_twice", "items_nested", "unused_categorical",
    "numbers_like_levels", "one_number", "capped_df",
    "no_df_between_runs", "low_kenward_roger_df", "normal_tests", "residual_df_only",
    "normal_meta_tests", "empty_q_profile",
    # two studies side by side
    "held_different", "averaged_differently", "shared_contexts", "runs_in_both",
    "no_margin_in_both", "unlike_metrics", "response_part", "level_part", "same_study",
]  # fmt: skip

_WITH_ARGUMENTS: Mapping[Code, tuple[str, ...]] = {
    # what a contrast lacks
    "shapley_is_average": ("order",),
    "aliased_below_order": ("order",),
    "zero_by_assumption": ("order",),
    "one_level_inside": ("level", "outer", "inside"),
    "never_in_one_context": ("level_contexts", "baseline_contexts"),
    "no_run_at_level": ("level",),
    "aliased_with": ("partners",),
    # what an error term lacks
    "model_refused": ("message",),
    # what inference over contexts lacks
    "too_few_levels": ("variable", "levels", "fewest", "of_levels"),
    "no_effect_on_learning": ("p", "alpha"),
    "best_needs_equal_variances": ("p",),
    "same_in_every_level": ("variable",),
    # what a regression on a covariate lacks, and what it reaches for
    "nested_variable": ("variable",),
    "constant_covariate": ("covariate",),
    "on_a_line": ("variable", "covariate"),
    "extrapolated": ("covariate", "at", "low", "high"),
    # what companions lack
    "too_many_runs": ("runs", "replicates"),
    "failed_bootstraps": ("failed", "draws"),
    "few_kenward_roger_df": ("df",),
    "mixed_model": ("variables", "fewest"),
    # what a comparison of two responses or studies lacks
    "unlike_responses": ("parts", "learning", "generalization"),
    "unlike_studies": ("part", "response", "first", "second"),
    "few_shared_contexts": ("contexts", "fewest"),
    # notes on effects
    "assumes_order": ("order",),
    "same_runs_in": ("combinations", "of_combinations"),
    "model_based": ("order",),
    "contexts_left_out": ("contexts",),
    "compared_inside": ("outer", "level"),
    "goes_along": ("factor", "level"),
    "welch_family": ("p",),
    "own_levels": ("variable", "other"),
    "widest_of_one_way": ("scope",),
    "not_crossed": ("scope",),
    "decided_by": ("by",),
    # what a row averages over, and its family
    "over_combinations": ("combinations", "contexts", "grid"),
    "over_scope": ("scope", "levels", "fixed"),
    "at_baseline": ("contexts",),
    "off_baseline": ("contexts",),
    "over_orders": ("contexts",),
    "over_factors": ("factors",),
    "cell_against_baseline": ("contexts",),
    "effect_family": ("response", "estimand", "inference", "scope"),
    "dose_family": ("response", "inference", "scope"),
    "marginal_family": ("estimand", "order"),
    # methods
    "hidden_replication_t": ("order",),
    "truncated_t": ("order",),
    "truncated_least_squares": ("order",),
    "stratified_bootstrap": ("draws", "alpha"),
    # analysis of variance
    "cell_anova": ("order", "pure"),
    "formula_anova": ("type", "method"),
    "residual_anova": ("type",),
    "chi_square_anova": ("type",),
    "tests_observed_cells": ("terms", "empty", "cells"),
    "tests_at_mean": ("covariates", "values"),
    "tests_at_zero": ("covariates",),
    "empty_size_intervals": ("sizes",),
    # footers of tables
    "narrow_inference": ("contexts", "method", "df", "refused", "alpha"),
    "broad_inference": ("scopes", "fewest", "alpha"),
    "truncated_model": ("order",),
    "own_variances": ("p",),
    "adjusted": ("method",),
    "verdict_rule": ("alpha", "smallest_effect"),
    "learning_curves": ("alpha",),
    "metric_meaning": ("metric", "doc"),
    "held_equal": ("settings",),
    "matched_cells": ("effects",),
    "levels_withheld": ("factors",),
    "levels_at_shared_cells": ("factors",),
    "gap": ("direction",),
    "gap_method": ("method",),
    "gap_adjustment": ("adjust",),
    "gap_rule": ("alpha", "smallest_effect"),
    "no_gap": ("reason",),
    "marginal_means": ("adjustments",),
    "baselines": ("factors", "levels"),
    # diverged, failed and left-out runs
    "diverged_left_out": ("runs",),
    "diverged_with_score": ("runs",),
    "diverged_without_score": ("runs",),
    "diverged_with_worst": ("runs", "value"),
    "never_reached": ("runs", "threshold"),
    "without_metric": ("runs", "metric"),
    "without_area": ("runs", "metric"),
    "without_part": ("runs", "metric"),
    "ended_on_part": ("runs",),
    "without_result": ("runs",),
    "unsteady_cells": ("cells",),
    "unpaired_runs": ("runs",),
    "outcomes_left_out": ("runs",),
    "run_message": ("runs", "of_runs", "message"),
    # what a second opinion leaves out
    "second_opinion_failed": ("status", "message"),
    "second_opinion_late": ("seconds",),
    # diagnostics
    "unequal_variances": ("p", "pooled"),
    "near_bounds": ("cells",),
    "gap_near_bounds": ("cells",),
    "few_error_cells": ("replicated", "cells", "df"),
    "uneven_contexts": ("context", "share"),
    "shorter_broad": ("scope", "effects"),
    "starts_at_worst": ("value", "contexts", "of_contexts", "remedy"),
    "starts_at_best": ("value", "contexts", "of_contexts", "remedy"),
    "repeated_histories": ("runs",),
    # what a table holds
    "absent_words": ("column", "words", "rows"),
    "direction_guessed": ("direction", "word"),
    "spelling_variants": ("column", "spellings"),
    "repeated_rows": ("rows",),
    "hidden_factor": ("column", "levels"),
    "failed_left_out": ("rows",),
    # where runs of other tools come from
    "unreadable_logs": ("runs",),
    "logs_cut": ("runs",),
    # what a proposal leaves out, and what it says of the runs
    "column_filtered": ("level",),
    "column_constant": ("level",),
    "column_not_asked": ("option",),
    "column_many_values": ("levels",),
    "column_combines": ("columns",),
    "column_same": ("column",),
    "column_always_with": ("column",),
    "column_decided_by": ("column",),
    "column_follows": ("columns",),
    "column_gaps": ("rows",),
    "column_beyond": ("most",),
    "column_too_few_runs": ("runs",),
    "always_together": ("first", "second"),
    "changed_together": ("first", "second", "runs", "of_runs"),
    "rows_doubled": ("column", "levels", "kept"),
    "repeats_agree": ("runs",),
    "results_repeated": ("runs",),
    "one_seed": ("column", "seed"),
    "one_seed_repeated": ("column", "seed"),
    "seed_twice": ("columns", "runs"),
    "status_not_read": ("column", "runs"),
    "runs_not_ended": ("failed", "waiting"),
    "cells_without_runs": ("empty", "cells"),
    "unequal_replicates": ("fewest", "most"),
    "single_context": ("column", "level"),
    "lacks_factor": ("runs",),
    "rows_per_step": ("column", "run"),
    # what a folder of logs holds
    "earlier_left_out": ("runs",),
    "copies_left_out": ("files",),
    "retried_left_out": ("runs",),
    "no_settings_stated": ("runs",),
    "rows_repeated": ("source", "rows"),
    "no_item_values": ("metrics",),
    "unlike_outcomes": ("metrics", "runs"),
    "same_items": ("dataset", "items"),
    "unlike_items": ("dataset", "items"),
    "items_without_outcome": ("rows", "runs"),
    "no_numbers": ("metric", "words", "rows"),
    # how a fit went
    "gradient_not_zero": ("gradient",),
    "local_minima": ("spread",),
    "zero_variance": ("group",),
    "singular": ("zero", "perfect"),
    "few_levels": ("groups", "levels"),
    "rows_left_out": ("rows",),
    "terms_aliased": ("terms",),
    "written_twice": ("term",),
    "unused_categorical": ("columns",),
    "numbers_like_levels": ("columns", "counts"),
    "one_number": ("columns",),
    "capped_df": ("limit", "without"),
    "residual_df_only": ("df",),
    # two studies side by side
    "held_different": ("names", "first", "second"),
    "averaged_differently": ("first", "second"),
    "shared_contexts": ("contexts",),
    "runs_in_both": ("response", "runs"),
    "no_margin_in_both": ("response",),
    "unlike_metrics": ("response", "first", "second"),
    "response_part": ("response",),
    "level_part": ("factor", "level", "baseline"),
}

ARGUMENTS: Mapping[Code, tuple[str, ...]] = {
    code: _WITH_ARGUMENTS.get(code, ()) for code in get_args(Code)
}
"""The arguments of every code; a code that is not in the list above has none."""
