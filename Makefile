# `make` says what there is. Everything first runs scripts/setup.sh, which installs what is missing or says what it is.
.DEFAULT_GOAL := help
ORIGIN ?= http://127.0.0.1:9464
PAGES ?= start transactions
.PHONY: help setup build demo up down test lint bench bench-sink soak screenshots clean
export PATH := $(HOME)/.cargo/bin:$(PATH)

help: ## This list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what a build needs (apt-get as root), or say what is missing
	@scripts/setup.sh build

build: setup ## The program, in target/release/riacho
	cargo build --release --locked

demo: setup ## The main job with generator, live view and proof; APP=sales, enrolments, extraction or workshop; KAFKA=host:port or jvm
	cargo run --release --locked --bin riacho -- demo $(APP) $(if $(KAFKA),--kafka $(KAFKA))

up: ## The stack in Docker, Grafana at http://localhost:3000; PROFILE=all adds the other applications, REPLICAS=4
	docker compose $(if $(PROFILE),--profile $(PROFILE)) up --build --detach --wait $(if $(REPLICAS),--scale processor=$(REPLICAS))

down: ## Stop the stack and keep its data; DATA=delete deletes that too
	docker compose --profile all down $(if $(filter delete,$(DATA)),--volumes)

test: ## Lint and all tests on a real Kafka (JVM, and Docker where there is one); RIACHO_TEST_KAFKA=docker|jvm|host:port
	@scripts/setup.sh test
	@scripts/test.sh

lint: ## Format, clippy, documentation, dependencies
	@scripts/setup.sh lint
	@scripts/lint.sh

bench: setup ## Side by side with Kafka Streams, outputs verified
	@benches/side_by_side.sh

bench-sink: ## Rows per second into a real PostgreSQL, at least 30,000
	@scripts/setup.sh test
	RIACHO_SALES_BACKLOG=1000000 RIACHO_SALES_RATE_MIN=30000 \
	  cargo test --release --locked --test all -- --nocapture sales::a_backlog

soak: ## Kill, freeze and rebalance for MINUTES=30, and sales into PostgreSQL with 25 kills
	@scripts/setup.sh test
	@MINUTES=$(MINUTES) scripts/soak.sh

screenshots: ## Pictures of the pages of a running riacho into docs/screenshots: ORIGIN=http://127.0.0.1:8501 PAGES="start sales"
	@scripts/setup.sh test
	@scripts/screenshots.sh $(ORIGIN) $(PAGES)

clean: ## Remove what was built
	cargo clean
