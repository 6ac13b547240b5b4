"""What-if: what a page computes anew for who moves its bounds, and the numbers it needs."""
