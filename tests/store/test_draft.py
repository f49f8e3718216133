"""A draft is what a commit would publish, to be looked at before."""


def test_a_draft_can_be_read_and_publishes_nothing(repo, commit, put_table):
    first = commit(repo, put_table(repo, "07", [1]))
    put = put_table(repo, "08", [2])
    draft = repo.draft(lambda _: [put])
    assert [shard.key for shard in repo.manifest(draft, put.table).shards] == ["07", "08"]
    assert repo.head().snapshot == first.snapshot_id
    assert commit(repo, put).snapshot_id == draft.id


def test_a_draft_that_changes_nothing_is_the_head(repo, commit, put_table):
    put = put_table(repo, "07", [1])
    assert repo.draft(lambda _: [put]).id == commit(repo, put).snapshot_id
    assert repo.draft(lambda _: [put]).id == repo.head().snapshot
