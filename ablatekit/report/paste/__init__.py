"""What is made to be pasted elsewhere: methods, results, tables, a card."""
