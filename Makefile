# `make help` lists the targets. For GNU make 3.81 or later, on Linux and macOS.

# The values of variables are text. Recipes read them from the environment, as "$$STAGE": make would expand a
# value in $(STAGE), and the shell would run commands in it. Make also expands the variables of its command line
# when it exports them. This replaces them by their text first.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),\
	$(eval override $(name) := $$(value $(name)))$(eval export $(name))))
# The loop hides a variable that is called like its own
$(if $(filter command,$(origin name)),$(eval override name := $$(value name)))

export PYTHON ?= python3
export STAGE ?= dev
export MESSAGES ?= examples/messages.jsonl

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

VENV_PYTHON := .venv/bin/python
CDK := node_modules/.bin/cdk
# cdk.json runs app.py with "python3"
CDK_PATH := PATH="$$PWD/.venv/bin:$$PATH"
STEP := "$$PYTHON" -m sandbox.progress

PORT_OPTION := $${EMULATOR_PORT:+--emulator-port="$$EMULATOR_PORT"}

# Twelve lines at every synth, for what the README says in one
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# Otherwise it is unpacked into the home folder
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/.sandbox/cache/jsii
ifneq (yes,$(shell test -w "$$HOME" && echo yes))
export PIP_CACHE_DIR := $(CURDIR)/.sandbox/cache/pip
export npm_config_cache := $(CURDIR)/.sandbox/cache/npm
endif

STACK_SOURCES := app.py cdk.json requirements.txt \
	$(shell find infra lambda_src -type f ! -name '*.pyc' ! -name '.*')

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables'
	@echo '  MESSAGES=file.jsonl                       demo'
	@echo '  EMULATOR_PORT=number                      demo, sandbox'
	@echo '  CHAT=contact-id                           end-chat, transcript; else that of $$CONTACT_ID'
	@echo '  SEED, SIMULATED_MESSAGES, MALFORMED_EVENTS=number simulation'
	@echo '  QUICK=yes                                 bench, quota'
	@echo '  STAGE=dev|prod                            synth, deploy'
	@echo '  PYTHON=python3.13                         all'
	@echo
	@echo 'Commands for a deployed stack (redrive, republish, smoke): .venv/bin/python -m ops --help'

##@ Try it out

.PHONY: demo messages-file
demo: messages-file prepare ## Send the messages of examples/messages.jsonl through the local stack, and check the outcomes
	@exec $(VENV_PYTHON) -m sandbox.demo $(PORT_OPTION) -- "$$MESSAGES"

messages-file:
	@test -r "$$MESSAGES" || { printf 'make: MESSAGES=%s: there is no such file\n' "$$MESSAGES" >&2; exit 1; }

.PHONY: sandbox
sandbox: prepare ## Keep the local stack running, and print commands that send to it and the results
	@exec $(VENV_PYTHON) -m sandbox.live $(PORT_OPTION)

.PHONY: chat end-chat transcript
chat: .venv/.installed ## Open another chat in the running sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats open

end-chat: .venv/.installed ## End the chat CHAT of the running sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats end -- "$${CHAT:-$$CONTACT_ID}"

transcript: .venv/.installed ## Show the chat CHAT of the running sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats transcript -- "$${CHAT:-$$CONTACT_ID}"

##@ Test and measure

.PHONY: test
test: prepare .sandbox/venv-awscli/.installed ## Run every test
	@exec $(VENV_PYTHON) -m pytest

.PHONY: simulation
simulation: .venv/.installed ## Run the simulation in its long form: every kind of fault, for hours of virtual time
	@exec $(VENV_PYTHON) -m tests.simulation $${SEED:+--seed="$$SEED"} \
		$${SIMULATED_MESSAGES:+--messages="$$SIMULATED_MESSAGES"} $${MALFORMED_EVENTS:+--events="$$MALFORMED_EVENTS"}

.PHONY: check
check: prepare .sandbox/venv-awscli/.installed ## Run what CI runs: format, lint, types, every test with coverage
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m mypy
	@exec $(VENV_PYTHON) -m pytest --cov

.PHONY: bench
bench: .venv/.installed node_modules/.installed .sandbox/cdk.out/.synthesized ## Measure the function and other senders, and write docs/benchmarks/results.md
	@exec $(VENV_PYTHON) -m benchmarks --python="$$PYTHON" $${QUICK:+--quick --output .sandbox/benchmarks}

.PHONY: quota
quota: .venv/.installed ## Simulate how instances share the quota of SendMessage, and write docs/benchmarks/quota.md
	@exec $(VENV_PYTHON) -m benchmarks.quota $${QUICK:+--quick}

##@ Deploy

.PHONY: synth
synth: .venv/.installed node_modules/.installed ## Synthesize the stack of STAGE into cdk.out
	$(CDK_PATH) $(CDK) synth --quiet --context "stage=$$STAGE"
	@printf 'The template is in cdk.out/ConnectMessageSender-%s.template.json\n' "$$STAGE"

.PHONY: deploy
deploy: .venv/.installed node_modules/.installed ## Deploy the stack of STAGE into your AWS account
	$(CDK_PATH) $(CDK) deploy --context "stage=$$STAGE"

##@ Work on it

.PHONY: prepare
prepare: .venv/.installed .sandbox/venv-emulator/.installed .sandbox/venv-runtime/.installed ## Install everything into this folder, and run nothing
prepare: node_modules/.installed .sandbox/cdk.out/.synthesized

.PHONY: docs
docs: .venv/.installed ## Write the generated parts of the documents
	@PYTHONPATH=lambda_src $(VENV_PYTHON) -m scripts.render_contract
	@PYTHONPATH=lambda_src $(VENV_PYTHON) -m scripts.render_stack

.PHONY: picture
picture: prepare ## Draw the dashboard with what a run of the local stack measures, in six minutes: docs/images/dashboard.svg
	@exec $(VENV_PYTHON) -m sandbox.dashboard

.PHONY: lock
lock: .sandbox/venv-uv/.installed ## Write the requirements files anew from pyproject.toml
	$(UV) pyproject.toml -o requirements.txt
	$(UV) --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(UV) --group emulator -o sandbox/requirements-emulator.txt
	$(UV) --group awscli -o sandbox/requirements-awscli.txt
	$(UV) --group runtime -c requirements-dev.txt -o sandbox/requirements-runtime.txt
	$(UV) --group asset -c requirements.txt --generate-hashes --no-emit-package botocore \
		--no-emit-package python-dateutil --no-emit-package six -o lambda_src/requirements.txt

.PHONY: audit
audit: .sandbox/venv-audit/.installed node_modules/.installed ## Ask PyPI and npm about known vulnerabilities of all that is pinned
	@sh scripts/audit.sh .sandbox/venv-audit/bin/pip-audit

.PHONY: clean
clean: ## Remove everything that make has put into this folder
	rm -rf .venv .sandbox .cdk-cache node_modules cdk.out .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

# What the targets above need. A file in each folder says that it is complete.

.PHONY: prerequisites
prerequisites:
	@sh scripts/check-prerequisites.sh

.venv/.installed: requirements-dev.txt scripts/create-venv.sh | prerequisites
	@test -d .venv || echo 'The first run installs all that is needed into this folder: about 950 MB, in a minute or a few.'
	@$(STEP) 'Installing the project and its tools' sh scripts/create-venv.sh "$$PYTHON" .venv $< lambda_src
	@touch $@

.sandbox/venv-emulator/.installed: sandbox/requirements-emulator.txt | prerequisites
	@$(STEP) 'Installing the AWS emulator' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

# 190 MB, which only the tests need
.sandbox/venv-awscli/.installed: sandbox/requirements-awscli.txt | prerequisites
	@$(STEP) 'Installing the AWS CLI, for tests' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

.sandbox/venv-runtime/.installed: sandbox/requirements-runtime.txt | prerequisites
	@$(STEP) 'Installing what the Lambda runtime brings' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

node_modules/.installed: package.json package-lock.json | prerequisites
	@$(STEP) 'Installing the AWS CDK CLI and, for tests and benchmarks, an AWS SDK for JavaScript' npm ci --no-audit --no-fund
	@touch $@

.sandbox/cdk.out/.synthesized: $(STACK_SOURCES) | .venv/.installed node_modules/.installed
	@rm -rf $(@D)
	@$(CDK_PATH) $(STEP) 'Synthesizing the stack' $(CDK) synth --quiet --output $(@D)
	@touch $@

.sandbox/venv-uv/.installed: | prerequisites
	@$(STEP) 'Installing uv' sh -c '"$$PYTHON" -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet uv==0.13.9'
	@touch $@

.sandbox/venv-audit/.installed: | prerequisites
	@$(STEP) 'Installing pip-audit' sh -c '"$$PYTHON" -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet pip-audit==2.10.1'
	@touch $@

UV := .sandbox/venv-uv/bin/uv pip compile --quiet --universal --python-version 3.11 --custom-compile-command "make lock"
