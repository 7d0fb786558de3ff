# The same scripts as `plain.py processes` runs, for make.
OUTPUTS := $(patsubst in/%,out/%,$(wildcard in/*.txt))
$(shell mkdir -p out)

all: $(OUTPUTS)

out/%.txt: in/%.txt
	wc -w < $< > $@
