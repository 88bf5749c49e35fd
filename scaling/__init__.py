"""One trial, from sound to numbers. Knows neither Ray nor figures."""
