# `make help` lists the targets. For GNU make 3.81 or later, on Linux and macOS.

PYTHON ?= python3
STAGE ?= dev
MESSAGES ?= examples/messages.jsonl
EMULATOR_PORT ?=
# The line that the sandbox prints of a chat sets it
CHAT ?= $(CONTACT_ID)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

VENV_PYTHON := .venv/bin/python
CDK := node_modules/.bin/cdk
# cdk.json runs app.py with "python3"
CDK_PATH := PATH="$(CURDIR)/.venv/bin:$$PATH"
STEP := "$(PYTHON)" -m sandbox.step

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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: MESSAGES=file.jsonl (demo), EMULATOR_PORT=number (demo, sandbox), STAGE=dev|prod (synth, deploy, smoke),'
	@echo '           CHAT=contact-id (end-chat, transcript; else that of $$CONTACT_ID), QUICK=yes (quota), PYTHON=python3.13 (all)'

.PHONY: demo
demo: prepare ## Send the messages of examples/messages.jsonl through the local stack, and check the outcomes
	@exec $(VENV_PYTHON) -m sandbox.demo "$(MESSAGES)" $(if $(EMULATOR_PORT),--emulator-port "$(EMULATOR_PORT)")

.PHONY: sandbox
sandbox: prepare ## Keep the local stack running, and print commands that send to it and the results
	@exec $(VENV_PYTHON) -m sandbox.live $(if $(EMULATOR_PORT),--emulator-port "$(EMULATOR_PORT)")

.PHONY: chat end-chat transcript
chat: .venv/.installed ## Open another chat in the running sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats open

end-chat: .venv/.installed ## End the chat CHAT of the running sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats end "$(CHAT)"

transcript: .venv/.installed ## Show the chat CHAT of the running sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats transcript "$(CHAT)"

.PHONY: test
test: prepare .sandbox/venv-awscli/.installed ## Run every test
	@exec $(VENV_PYTHON) -m pytest

.PHONY: check
check: prepare .sandbox/venv-awscli/.installed ## Run what CI runs: format, lint, types, every test with coverage
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m mypy
	@exec $(VENV_PYTHON) -m pytest --cov

.PHONY: quota
quota: .venv/.installed ## Simulate how instances share the quota of SendMessage: docs/benchmarks/quota.md
	@PYTHONPATH=lambda_src exec $(VENV_PYTHON) -m benchmarks.quota_simulation $(if $(QUICK),--quick)

.PHONY: smoke
smoke: .venv/.installed ## Send one message by each event source to a chat in Amazon Connect, and compare its transcript
	@STAGE="$(STAGE)" exec $(VENV_PYTHON) -m smoke

.PHONY: synth
synth: .venv/.installed node_modules/.installed ## Synthesize the stack of STAGE into cdk.out
	$(CDK_PATH) $(CDK) synth --quiet --context stage=$(STAGE)
	@echo 'The template is in cdk.out/ConnectMessageSender-$(STAGE).template.json'

.PHONY: deploy
deploy: .venv/.installed node_modules/.installed ## Deploy the stack of STAGE into your AWS account
	$(CDK_PATH) $(CDK) deploy --context stage=$(STAGE)

.PHONY: prepare
prepare: .venv/.installed .sandbox/venv-emulator/.installed .sandbox/venv-runtime/.installed ## Install everything into this folder, and run nothing
prepare: node_modules/.installed .sandbox/cdk.out/.synthesized

.PHONY: docs
docs: .venv/.installed ## Write the tables that documents take from the sources
	$(VENV_PYTHON) scripts/render_docs.py
	$(VENV_PYTHON) scripts/render_openapi.py

.PHONY: lock
lock: .sandbox/venv-uv/.installed ## Write the requirements files anew from pyproject.toml
	$(UV) pyproject.toml -o requirements.txt
	$(UV) --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(UV) --group emulator -o sandbox/requirements-emulator.txt
	$(UV) --group awscli -o sandbox/requirements-awscli.txt
	$(UV) --group runtime -c requirements-dev.txt -o sandbox/requirements-runtime.txt
	$(UV) --group asset -c requirements.txt --generate-hashes --no-emit-package botocore \
		--no-emit-package python-dateutil --no-emit-package six -o lambda_src/requirements.txt

.PHONY: clean
clean: ## Remove everything that make has put into this folder
	rm -rf .venv .sandbox .cdk-cache node_modules cdk.out .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

# What the targets above need. A file in each folder says that it is complete.

.PHONY: prerequisites
prerequisites:
	@PYTHON="$(PYTHON)" sh scripts/check-prerequisites.sh

.venv/.installed: requirements-dev.txt | prerequisites
	@test -d .venv || echo 'The first run installs all that is needed into this folder: about 900 MB, in a minute or a few.'
	@$(STEP) 'Installing the project and its tools' sh scripts/create-venv.sh "$(PYTHON)" .venv $<
	@touch $@

.sandbox/venv-emulator/.installed: sandbox/requirements-emulator.txt | prerequisites
	@$(STEP) 'Installing the AWS emulator' sh scripts/create-venv.sh "$(PYTHON)" $(@D) $<
	@touch $@

# 190 MB, which only the tests need
.sandbox/venv-awscli/.installed: sandbox/requirements-awscli.txt | prerequisites
	@$(STEP) 'Installing the AWS CLI, for tests' sh scripts/create-venv.sh "$(PYTHON)" $(@D) $<
	@touch $@

.sandbox/venv-runtime/.installed: sandbox/requirements-runtime.txt | prerequisites
	@$(STEP) 'Installing what the Lambda runtime brings' sh scripts/create-venv.sh "$(PYTHON)" $(@D) $<
	@touch $@

node_modules/.installed: package.json package-lock.json | prerequisites
	@$(STEP) 'Installing the AWS CDK CLI and, for tests, an AWS SDK for JavaScript' npm ci --no-audit --no-fund
	@touch $@

.sandbox/cdk.out/.synthesized: $(STACK_SOURCES) | .venv/.installed node_modules/.installed
	@rm -rf $(@D)
	@$(CDK_PATH) $(STEP) 'Synthesizing the stack' $(CDK) synth --quiet --output $(@D)
	@touch $@

.sandbox/venv-uv/.installed: | prerequisites
	@$(STEP) 'Installing uv' sh -c '"$(PYTHON)" -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet uv==0.13.9'
	@touch $@

UV := .sandbox/venv-uv/bin/uv pip compile --quiet --universal --python-version 3.11 --custom-compile-command "make lock"
