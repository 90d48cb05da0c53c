"""One task: mappers judged, compared and audited on the same episodes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from medfs.metrics.episodes import summarize_episodes
from medfs.metrics.paired import Replicates, replicate
from medfs.workflows.audits import Clues, audit_permuted, audit_shortcuts, clues
from medfs.workflows.candidates import Candidate
from medfs.workflows.comparison import compare
from medfs.workflows.feature_choice import as_mapper
from medfs.workflows.judging import Known, answers, chosen
from medfs.workflows.tasks import Shots, Task, TaskFeatures


@dataclass(frozen=True, eq=False)
class Bench:
    """A task whose scans were read, and the mappers that are to be judged on it.

    Each mapper has one or more candidates of features, among which it chooses in every episode.
    """

    task: Task
    features: TaskFeatures
    methods: Mapping[str, tuple[Candidate, ...]]
    seed: int
    audits: bool
    progress: Callable[[str], None]

    @property
    def known(self) -> Known:
        """The cases as every mapper sees them."""
        known = self.features
        return Known(self.task.class_names, known.patient_of, known.features)

    @cached_property
    def clues(self) -> Clues:
        """What the scans tell without their tissue."""
        return clues(self.features.facts)

    def judge(self, shots: Shots) -> dict[str, list[dict[str, Any]]]:
        """Rows of every list of results.json for one shot count."""
        head = {"task": self.task.name, "shots": shots.n_shot}
        if shots.error is not None:
            failed = {**head, "episodes": 0, "error": shots.error}
            return {"results": [{**failed, "mapper": name} for name in self.methods]}
        rows: list[dict[str, Any]] = []
        answered: dict[str, Replicates] = {}
        for name in self.methods:
            self.progress(f"{self.task.name}: {shots.n_shot} shots, {name}")
            row, answered[name] = self._row(shots, name)
            rows.append({**head, "mapper": name, **row})
        pairs = [{**head, **pair} for pair in compare(answered)]
        audits = [{**head, **self._audit(shots, answered)}] if self.audits else []
        return {"results": rows, "comparisons": pairs, "audits": audits}

    def _row(self, shots: Shots, name: str) -> tuple[dict[str, Any], Replicates]:
        started, seed = time.perf_counter(), self.seed
        outcomes = answers(self.known, shots.drawn, chosen(self.methods[name], seed))
        row = {
            "episodes": len(shots.drawn),
            "episodes_skipped": shots.skipped,
            "cases_dropped": shots.dropped,
            **summarize_episodes(outcomes, seed=seed).as_dict(),
            "seconds": round(time.perf_counter() - started, 3),
        }
        return row, replicate(outcomes, seed=seed)

    def _audit(self, shots: Shots, answered: Mapping[str, Replicates]) -> dict[str, Any]:
        self.progress(f"{self.task.name}: {shots.n_shot} shots, audits")
        known, drawn, seed = self.known, shots.drawn, self.seed
        return {
            "shortcuts": audit_shortcuts(self.clues, known, drawn, answered, seed),
            "same_in_every_case": list(self.clues.same_in_every_case),
            "permuted_labels": {
                name: audit_permuted(known, drawn, as_mapper(asked, seed), seed)
                for name, asked in self.methods.items()
            },
        }
