"""An encoded study to the words of a report: search, sampling, minimum Bayes risk decoding."""
