"""Run the benchmark of the line with its defaults, or with the options given."""

from benchmarks.line import main

main()
