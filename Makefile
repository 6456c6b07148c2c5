# make test     the suite on one Python (PYTHON=python3.8 make test: on another)
# make pythons  the suite on every python3.6 and later that is found
# make fuzz     mutate every sample: SEED=1 ROUNDS=10000 make fuzz
# make bench    a huge process, and what its diagnosis costs
PYTHON ?= python3
SEED ?= 1
ROUNDS ?= 10000

.PHONY: test pythons fuzz bench

test:
	$(PYTHON) -m unittest -b

pythons:
	@$(PYTHON) test_procdoc.py --pythons

fuzz:
	$(PYTHON) test_procdoc.py --fuzz $(SEED) $(ROUNDS)

bench:
	$(PYTHON) test_procdoc.py --bench
