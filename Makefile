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
# That file is not a number for `simulate`
export HAS_MESSAGES := $(if $(filter file,$(origin MESSAGES)),,yes)
export OUTPUT ?= template
export ID ?=
export KIND ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

VENV_PYTHON := .venv/bin/python
CDK := node_modules/.bin/cdk
# cdk.json runs app.py with "python3"
CDK_PATH := PATH="$$PWD/.venv/bin:$$PATH"
STEP := "$$PYTHON" -m sandbox.progress
# Workers take whole files of tests, in the order of tests/conftest.py. `make check` has a third one: the first
# waits for the scenarios of the console most of the time.
PYTEST := $(VENV_PYTHON) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

PORT_OPTION := $${EMULATOR_PORT:+--emulator-port="$$EMULATOR_PORT"}

# The README says in one line what this warning says in twelve, at every synth
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# Container images set this. Every process would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE
# The CDK, unpacked and compiled, takes 240 MB and saves 10 s at each synth. Only test targets keep it.
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/.sandbox/cache/jsii
ifeq (,$(filter infra e2e clients console-tests test check,$(MAKECMDGOALS))$(wildcard .sandbox/cache/jsii))
.sandbox/cdk.out/.synthesized synth deploy: export JSII_RUNTIME_PACKAGE_CACHE := disabled
.sandbox/cdk.out/.synthesized synth deploy: export PYTHONDONTWRITEBYTECODE := 1
endif
ifneq (yes,$(shell test -w "$$HOME" && echo yes))
export UV_CACHE_DIR := $(CURDIR)/.sandbox/cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.sandbox/cache/pip
export npm_config_cache := $(CURDIR)/.sandbox/cache/npm
export XDG_CACHE_HOME := $(CURDIR)/.sandbox/cache
endif

STACK_SOURCES := app.py sandbox/app.py cdk.json requirements.txt \
	$(shell find infra lambda_src -type f ! -name '*.pyc' ! -name '.*')

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables'
	@echo '  STAGE=dev|prod           synth, template, sbom, preflight, deploy'
	@echo '  OUTPUT=folder            template'
	@echo '  ASSEMBLY=cdk.out         deploy it without a question'
	@echo '  MESSAGES=file.jsonl      demo: your own messages'
	@echo '  ACT=1                    demo, without the second act'
	@echo '  VERBOSE=yes              demo, with all ids and chats'
	@echo '  EMULATOR_PORT=number     demo, sandbox'
	@echo '  PORT=4600                participant-service'
	@echo '  CHAT=contact-id          end-chat, transcript (default: $$CONTACT_ID)'
	@echo '  KIND=outage              fault; without it, all kinds'
	@echo '  ID=id                    find: any id of a message, or a contact id'
	@echo '  MESSAGES=1000000         simulate (default: 20000)'
	@echo '  SEED=number              simulate'
	@echo '  MALFORMED_EVENTS=n       simulate'
	@echo '  REPORT=file.md           simulate'
	@echo '  QUICK=yes                bench, quota'
	@echo '  PYTHON=python3.13        every target'
	@echo
	@echo 'Commands for a deployed stack: .venv/bin/python -m ops --help'

##@ Try it out

.PHONY: demo messages-file
demo: messages-file prepare ## Send the example messages through a local stack
	@exec $(VENV_PYTHON) -m sandbox.demo $(PORT_OPTION) $${ACT:+--act="$$ACT"} $${VERBOSE:+--verbose} -- "$$MESSAGES"

messages-file:
	@test -r "$$MESSAGES" || { printf 'make: MESSAGES=%s: there is no such file\n' "$$MESSAGES" >&2; exit 1; }

.PHONY: sandbox
sandbox: prepare ## Run a local stack, with a console in the browser
	@exec $(VENV_PYTHON) -m sandbox.live $(PORT_OPTION)

.PHONY: env commands chat chats end-chat transcript fault
env: .venv/.installed ## Print the sandbox's endpoints and a new chat, to paste
	@exec $(VENV_PYTHON) -m sandbox.live.chats env

commands: .venv/.installed ## Print a command for each event source of the sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats commands

chat: .venv/.installed ## Open another chat in the sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats open

chats: .venv/.installed ## List the chats of the sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats list

fault: .venv/.installed ## Break the sandbox: KIND=outage, lost, throttle, kill ...
	@exec $(VENV_PYTHON) -m sandbox.live.chats fault -- "$$KIND"

end-chat: .venv/.installed ## End the chat CHAT of the sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats end -- "$${CHAT:-$$CONTACT_ID}"

transcript: .venv/.installed ## Print the chat CHAT of the sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.chats transcript -- "$${CHAT:-$$CONTACT_ID}"

.PHONY: find
find: .venv/.installed ## Print the log lines of a message or chat in the sandbox
	@exec $(VENV_PYTHON) -m sandbox.live.find -- "$$ID"

.PHONY: participant-service
participant-service: .venv/.installed ## Run only the local Amazon Connect, for your own code
	@exec $(VENV_PYTHON) -m sandbox.participant_service --introduce --port="$${PORT:-4600}"

##@ Test

.PHONY: unit functional infra e2e clients console-tests test check
unit: .venv/.dev-installed ## Test single modules, in 12 seconds
	@exec $(VENV_PYTHON) -m pytest tests/unit

functional: .venv/.dev-installed ## Test the function with local servers, and simulate it
	@exec $(PYTEST) tests/functional tests/compatibility tests/simulation

infra: .venv/.dev-installed node_modules/.installed .sandbox/venv-sbom/.installed ## Test the templates of the stack
	@exec $(PYTEST) tests/infra

e2e: prepare .venv/.dev-installed node_modules/.dev-installed .sandbox/venv-awscli/.installed ## Test the stack in the local emulator
	@exec $(PYTEST) tests/e2e

clients: .venv/.dev-installed node_modules/.dev-installed .sandbox/venv-awscli/.installed ## Test the participant service with SDKs
	@exec $(PYTEST) tests/clients

console-tests: prepare .venv/.dev-installed node_modules/.dev-installed ## Test the console in Chromium
	@exec $(PYTEST) tests/console

test: prepare .venv/.dev-installed node_modules/.dev-installed
test: .sandbox/venv-awscli/.installed .sandbox/venv-sbom/.installed ## Run all these tests, except clients and console-tests
	@exec $(PYTEST) --ignore=tests/clients --ignore=tests/console

check: prepare .venv/.dev-installed node_modules/.dev-installed
check: .sandbox/venv-awscli/.installed .sandbox/venv-sbom/.installed ## Run what CI runs: lint, types, all tests
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check
	@echo 'mypy checks the types beside the tests. You see its report after theirs.'
	@nice $(VENV_PYTHON) -m mypy > .sandbox/types.log 2>&1 & types=$$!; trap 'kill $$types 2> /dev/null' INT TERM; \
		$(PYTEST) --numprocesses=3 --hypothesis-profile=thorough --cov; tests=$$?; \
		wait $$types; found=$$?; cat .sandbox/types.log; exit $$((tests ? tests : found))

##@ Measure

.PHONY: simulate
simulate: .venv/.installed ## Simulate hours with every kind of fault
	@exec $(VENV_PYTHON) -m tests.simulation $${SEED:+--seed="$$SEED"} $${HAS_MESSAGES:+--messages="$$MESSAGES"} \
		$${MALFORMED_EVENTS:+--events="$$MALFORMED_EVENTS"} $${REPORT:+--report="$$REPORT"}

.PHONY: mutants
mutants: .venv/.dev-installed .sandbox/mutmut/.installed ## Count small changes of the code that no test notices
	@exec nice $(VENV_PYTHON) -m scripts.mutants

.PHONY: bench
bench: .venv/.installed node_modules/.installed .sandbox/cdk.out/.synthesized ## Measure the function beside other senders
	@exec $(VENV_PYTHON) -m benchmarks --python="$$PYTHON" $${QUICK:+--quick}

.PHONY: quota
quota: .venv/.installed ## Simulate how instances share a quota
	@exec $(VENV_PYTHON) -m benchmarks.quota $${QUICK:+--quick}

.PHONY: limits
limits: .venv/.installed ## Count what no sender can promise
	@exec $(VENV_PYTHON) -m tests.simulation.limits

##@ Deploy

.PHONY: synth
synth: .venv/.installed node_modules/.installed ## Write the template of STAGE into cdk.out
	$(CDK_PATH) $(CDK) synth --quiet --context "stage=$$STAGE"
	@printf 'The template is in cdk.out/ConnectMessageSender-%s.template.json\n' "$$STAGE"

.PHONY: template
template: .venv/.installed node_modules/.installed ## Write files to deploy STAGE without the CDK
	@exec $(VENV_PYTHON) -m scripts.template --stage="$$STAGE" --output="$$OUTPUT"

.PHONY: preflight
preflight: .venv/.installed ## Check your AWS account before you deploy STAGE
	@exec $(VENV_PYTHON) -m ops preflight --stage="$$STAGE"

.PHONY: deploy
deploy: .venv/.installed node_modules/.installed ## Deploy STAGE into your AWS account
	$(CDK_PATH) $(CDK) deploy --context "stage=$$STAGE" \
		$${ASSEMBLY:+--app "$$ASSEMBLY" --require-approval never "ConnectMessageSender-$$STAGE"}

##@ Work on it

.PHONY: install
install: .venv/.dev-installed ## Only install, for single tests and the commands of ops

.PHONY: prepare
prepare: .venv/.installed .sandbox/venv-emulator/.installed .sandbox/venv-runtime/.installed ## Install what the local stack needs
prepare: node_modules/.installed .sandbox/cdk.out/.synthesized
	@rm -rf .sandbox/uv

.PHONY: docs
docs: .venv/.installed ## Write the generated parts of the documents
	@$(VENV_PYTHON) -m scripts.render_contract
	@$(VENV_PYTHON) -m scripts.render_stack
	@$(VENV_PYTHON) -m scripts.render_rights

.PHONY: screenshots
screenshots: prepare .venv/.dev-installed node_modules/.dev-installed ## Draw docs/images/console*.png, in three minutes
	@exec $(VENV_PYTHON) -m pytest -p no:randomly tests/console/screenshots.py

.PHONY: picture
picture: prepare ## Draw docs/images/dashboard.svg, in six minutes
	@exec $(VENV_PYTHON) -m sandbox.dashboard

.PHONY: lock
lock: .venv/.dev-installed ## Write the requirements files from pyproject.toml
	$(UV) --group app -o requirements.txt
	$(UV) --group tools -c requirements.txt -o requirements-tools.txt
	$(UV) --group dev -c requirements-tools.txt -o requirements-dev.txt
	$(UV) --group emulator -o sandbox/requirements-emulator.txt
	$(UV) --group awscli -o sandbox/requirements-awscli.txt
	$(UV) --group runtime -c requirements-dev.txt -o sandbox/requirements-runtime.txt
	$(UV) --group sbom -o sandbox/requirements-sbom.txt
	$(UV) --group asset -c requirements.txt --generate-hashes -o lambda_src/requirements.txt
	$(UV) --group asset-tracing -c requirements-dev.txt --generate-hashes $(IN_RUNTIME_OR_ASSET:%=--no-emit-package %) \
		-o lambda_src/requirements-tracing.txt

.PHONY: sbom
sbom: .venv/.installed .sandbox/venv-sbom/.installed ## List what the package of STAGE contains
	@$(VENV_PYTHON) -m scripts.sbom --stage="$$STAGE"

.PHONY: audit
audit: .sandbox/venv-audit/.installed node_modules/.installed ## Look up known vulnerabilities of the pinned packages
	@sh scripts/audit.sh .sandbox/venv-audit/bin/pip-audit

.PHONY: clean
clean: ## Remove everything that make added to this folder
	rm -rf .venv .sandbox node_modules cdk.out template .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The installations that the targets above need. A file in each folder says that it is complete.

bench: node_modules/.dev-installed
bench simulate quota docs picture: .venv/.dev-installed

.PHONY: prerequisites
prerequisites:
	@sh scripts/check-prerequisites.sh

.venv/.installed: requirements-tools.txt scripts/create-venv.sh | prerequisites
	@test -d .venv || echo 'The first run installs what the project needs into this folder: 500 MB.'
	@$(STEP) 'Installing the project' sh scripts/create-venv.sh "$$PYTHON" .venv $< 'lambda_src editable'
	@touch $@

.venv/.dev-installed: requirements-dev.txt | .venv/.installed
	@$(STEP) 'Installing the tools for tests' sh scripts/create-venv.sh "$$PYTHON" .venv $<
	@touch $@

.sandbox/venv-emulator/.installed: sandbox/requirements-emulator.txt | .venv/.installed
	@$(STEP) 'Installing the AWS emulator' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

.sandbox/venv-awscli/.installed: sandbox/requirements-awscli.txt | .venv/.installed
	@$(STEP) 'Installing the AWS CLI' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

.sandbox/venv-sbom/.installed: sandbox/requirements-sbom.txt | .venv/.installed
	@$(STEP) 'Installing the SBOM tool' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

.sandbox/venv-runtime/.installed: sandbox/requirements-runtime.txt | .venv/.installed
	@$(STEP) 'Installing the packages of the Lambda runtime' sh scripts/create-venv.sh "$$PYTHON" $(@D) $<
	@touch $@

node_modules/.installed: package.json package-lock.json | prerequisites
	@$(STEP) 'Installing the AWS CDK CLI' npm ci --omit=dev --no-audit --no-fund
	@touch $@

node_modules/.dev-installed: node_modules/.installed
	@$(STEP) 'Installing a browser and the AWS SDK for JavaScript' npm ci --no-audit --no-fund
	@touch $< $@

.sandbox/cdk.out/.synthesized: $(STACK_SOURCES) | .venv/.installed node_modules/.installed
	@rm -rf $(@D)
	@$(CDK_PATH) $(STEP) 'Synthesizing the stack' $(CDK) synth --quiet --app 'python3 -m sandbox.app' --output $(@D)
	@touch $@

.sandbox/venv-audit/.installed: | prerequisites
	@$(STEP) 'Installing pip-audit' sh -c '"$$PYTHON" -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet pip-audit==2.10.1'
	@touch $@

.sandbox/mutmut/.installed: | .venv/.dev-installed
	@rm -rf $(@D)
	@$(STEP) 'Installing mutmut' $(VENV_PYTHON) -m pip install --quiet --target $(@D) mutmut==3.8.1
	@touch $@

# Dependencies of the AWS X-Ray SDK that the Lambda runtime has, or lambda_src/requirements.txt
IN_RUNTIME_OR_ASSET := botocore jmespath python-dateutil six urllib3

UV := .venv/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --custom-compile-command "make lock"
