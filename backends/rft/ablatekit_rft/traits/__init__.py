"""Whether levels do what their traits say, by the numbers, on made-up rounds."""
