"""The stages of the pipeline: each reads files and writes files, and composes the rooms without cleverness of its own.

Every stage module has two functions:
    plan(settings, workspace) -> Plan                           what it would read and write
    run(settings, workspace, progress) -> StageResult           do it; the manifest is written last
"""
