"""Cell means of a design, and every estimand as a contrast of them."""
