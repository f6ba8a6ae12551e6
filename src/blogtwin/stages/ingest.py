"""Ingest: a folder of posts, or an export of one → one Post a line, with the author's words alone.

In: data.input_dir. Out: raw_blogs.jsonl, ingest_report.json (what became of every file), an index for the next run, the manifest.
A file that cannot be read is listed with its reason and does not stop the others, unless data.strict is set.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from blogtwin import __version__, atomic, file_reports
from blogtwin.config import Settings
from blogtwin.errors import InputError, NothingUsable, UnreadableFile
from blogtwin.manifest import FileStamp, Plan
from blogtwin.progress import Progress
from blogtwin.records import FileReport
from blogtwin.sources.walk import walk
from blogtwin.stages import blog
from blogtwin.stages.earlier import Earlier, index_beside
from blogtwin.stages.result import StageResult
from blogtwin.stages.summary import Summary
from blogtwin.workspace import Workspace, manifest_beside


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What an ingest would read and write."""
    data = settings.data
    source = data.input_dir
    return Plan(
        stage="ingest",
        settings={
            "formats": sorted(data.formats),
            "strict": data.strict,
            "author": data.author,
            "language": data.language,
            "drop": sorted(data.drop),
            "reader": __version__,  # a better reader reads everything again
        },
        inputs=(source,) if source.is_file() else (),
        outputs=(workspace.posts, report_beside(workspace.posts)),
        manifest=manifest_beside(workspace.posts),
        listings={str(source): _listing(settings)} if source.is_dir() else {},
    )


def report_beside(posts: Path) -> Path:
    """Where the report on what became of every file stands."""
    return posts.with_name("ingest_report.json")


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Read every post of data.input_dir, in the order of paths; what has not changed since the last run is not read again.

    Raises InputError for a folder that is not there or stays shut, NothingUsable for one without a readable post, and
    UnreadableFile for the first bad file when data.strict is set.
    """
    source = settings.data.input_dir
    if not source.exists():
        raise InputError(
            f"the blog folder {source} is not there", "name the folder with your posts: --input-dir ./my-blog"
        )
    plan_ = plan(settings, workspace)
    last = plan_.read()
    if last and plan_.stale() is None:
        summary = Summary()
        for report in file_reports.read(plan_.outputs[1]):
            summary.add(report)
        return _result(summary, last.counts, plan_, "nothing has changed since the last run")
    summary, marks = _written(settings, plan_, progress)
    counts: dict[str, float] = {
        "posts": summary.kept,
        "words": summary.words_after,
        "words as found": summary.words_before,
        "drafts": marks["drafts"],
        "dropped": summary.verdicts["dropped"],
        "unreadable files": summary.verdicts["unreadable"],
        "passed over": summary.verdicts["passed over"],
        "undated": marks["undated"],
    }
    plan_.finish(counts)
    return _result(summary, counts, plan_)


def _written(settings: Settings, plan_: Plan, progress: Progress) -> tuple[Summary, Counter[str]]:
    """Write the posts, the report and the index; they take their places only when all of them are whole.

    Returns what the reports come to, and how many posts are drafts and how many undated.
    """
    posts, report = plan_.outputs
    index = index_beside(posts)
    summary = Summary()
    marks: Counter[str] = Counter()
    total = sum(stamp.size for stamp in plan_.listings.values()) or None
    with (
        progress.task("Reading posts", total, "files") as task,
        Earlier(posts if plan_.vouched() and index.is_file() else None) as earlier,
        atomic.open_text(posts) as lines,
        atomic.open_text(index) as entries,
        file_reports.open_report(report) as reports,
    ):
        for one in blog.of_folder(settings, earlier, task) if plan_.listings else blog.of_export(settings, task):
            _refuse_when_strict(one.report, settings)
            summary.add(one.report)
            lines.write(one.line)
            entries.write(one.entry)
            reports.add(one.report)
            # In a JSON line these can only be the fields: inside the text the quotation marks are escaped.
            marks["undated"] += '"created_from":"file system"' in one.line
            marks["drafts"] += '"draft":true' in one.line
        _require_posts(summary, settings)
    return summary, marks


def _refuse_when_strict(report: FileReport, settings: Settings) -> None:
    if settings.data.strict and report.verdict == "unreadable":
        path = settings.data.input_dir / report.path
        raise UnreadableFile(f"{path}: {report.reasons[0]}", "mend or remove the file, or go on without --strict")


def _require_posts(summary: Summary, settings: Settings) -> None:
    if summary.kept:
        return
    source = settings.data.input_dir
    seen = sum(summary.verdicts.values())
    if seen == summary.verdicts["passed over"]:
        kinds = ", ".join(f"{tally.files} {tally.what}" for tally in summary.tallies()[:5])
        endings = ", ".join(f".{ending}" for ending in settings.data.formats)
        raise NothingUsable(
            f"no posts in {source}: looked for {endings} in it and its subfolders, and saw {kinds or 'no files at all'}",
            "name the folder with your posts: --input-dir ./my-blog",
        )
    if summary.problems[0].path == ".":
        raise InputError(
            f"the folder {source} {summary.problems[0].reason}",
            f"give yourself the right to read it: chmod u+rx '{source}'",
        )
    reasons = "; ".join(f"{problem.path} {problem.reason}" for problem in summary.problems[:3])
    raise NothingUsable(f"none of the posts in {source} can be used: {reasons}", "mend those files first")


def _listing(settings: Settings) -> FileStamp:
    """The names, sizes and times of everything in the blog folder. Its size is the number of files."""
    digest = hashlib.sha256()
    files = 0
    for one in walk(settings.data.input_dir, settings.data.formats):
        line = f"{one.path}\0{one.size}\0{one.mtime_ns}\0{one.reason}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        files += 1
    return FileStamp(sha256=digest.hexdigest(), size=files, mtime_ns=0)


def _result(summary: Summary, counts: Mapping[str, float], plan_: Plan, *notes: str) -> StageResult:
    if undated := int(counts["undated"]):
        many = f"{undated:,} of {int(counts['posts']):,} posts"
        notes = (*notes, f"{many} say nowhere when they were written; the file's own date stands in")
    return StageResult("ingest", dict(counts), plan_.outputs, notes, tuple(summary.problems), summary.tallies())
