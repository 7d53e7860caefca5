package mongo

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/job"
)

// query is a search, mostly for jobs, and the index that serves it. All of them stand in this
// file, so that a test can ask the server how it would run each.
type query struct {
	filter, sort bson.D
	index        string
}

var newestFirst = bson.D{{Key: "_id", Value: -1}}

func ascending(field string) bson.D { return bson.D{{Key: field, Value: 1}} }

func list(owner string, state job.State, before string) query {
	// What is submitted is no job yet. There are few of those, for short.
	id, real := is("_id", "$lt", before), is("state", "$ne", submitted)
	switch {
	case owner != "" && state != "":
		return query{bson.D{{Key: "owner", Value: owner}, {Key: "state", Value: state}, id}, newestFirst, byOwnerState}
	case owner != "":
		return query{bson.D{{Key: "owner", Value: owner}, id, real}, newestFirst, byOwner}
	case state != "":
		return query{bson.D{{Key: "state", Value: state}, id}, newestFirst, byState}
	}
	return query{bson.D{id, real}, newestFirst, byID}
}

func queued(placed bool) bson.D {
	return bson.D{{Key: "state", Value: job.Queued}, {Key: "placed", Value: placed}}
}

func placed() query { return query{queued(true), nil, byWaiting} }

func placedBefore(id string) query {
	return query{append(queued(true), is("_id", "$lt", id)), nil, byWaiting}
}

func placedOf(owner string) query {
	return query{append(queued(true), bson.E{Key: "owner", Value: owner}), nil, byWaiting}
}

func waitingBefore(owner, id string) query {
	return query{append(queued(false), bson.E{Key: "owner", Value: owner}, is("_id", "$lt", id)), nil, byWaiting}
}

// waitingSince are those whose turn is next.
func waitingSince(owner string, now int64) query {
	return query{append(queued(false), bson.E{Key: "owner", Value: owner}, is("due_at", "$lte", now)), ascending("due_at"), byWaiting}
}

// waitingOwners are the jobs of those whose turn may be missed.
func waitingOwners(after string, now int64) query {
	return query{append(queued(false), is("owner", "$gt", after), is("due_at", "$lte", now)), nil, byWaiting}
}

func placedAfter(owner string) query {
	return query{append(queued(true), is("owner", "$gt", owner)), nil, byWaiting}
}

func waiting(owner string) query {
	return query{bson.D{{Key: "owner", Value: owner}, {Key: "state", Value: job.Queued}}, nil, byOwnerState}
}

func stored(owner string) query {
	return query{bson.D{{Key: "owner", Value: owner}, is("stored", "$gt", int64(0))}, nil, byStored}
}

// overdue are in the order in which they were told of: else the same ones come in every
// sweep.
func overdue(now, stale int64) query {
	return query{append(queued(true), is("due_at", "$lte", now-stale), is("not_before", "$lte", now)), ascending("due_at"), byTold}
}

func lost(now int64) query {
	return query{bson.D{{Key: "state", Value: job.Running}, is("due_at", "$lt", now)}, ascending("due_at"), byDue}
}

func untold(now, stale int64) query {
	at := bson.E{Key: "notice_at", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: now - stale}}}
	return query{bson.D{at, is("notice_lease_until", "$lte", now)}, ascending("notice_at"), byNotice}
}

// expirable are in no order: three states are three places of the index.
func expirable(now int64) query {
	return query{bson.D{in("state", job.Succeeded, job.Failed, job.Canceled), is("due_at", "$lte", now)}, nil, byDue}
}

func purgeable(now, keep int64) query {
	return query{bson.D{{Key: "state", Value: job.Expired}, is("due_at", "$lte", now-keep)}, ascending("due_at"), byDue}
}

func withTwin(twin string) query {
	return query{bson.D{{Key: "twin", Value: twinField(twin, "")}}, nil, byTwin}
}

// forgotten are intents whose maker has not carried them out.
func forgotten(before int64) query {
	return query{bson.D{is("intent.at", "$lte", before)}, nil, byIntent}
}

// census finds all jobs: it is for metrics, not often. So is inLane.
func census() query { return query{bson.D{is("state", "$ne", submitted)}, nil, byState} }

func inLane(lane job.Lane) query {
	return query{bson.D{{Key: "state", Value: job.Queued}, {Key: "lane", Value: lane}}, nil, byLane}
}

// madeFirst are those that were not queued again.
func madeFirst(lane job.Lane) query {
	return query{append(inLane(lane).filter, bson.E{Key: "not_before", Value: int64(0)}), ascending("created_at"), byLane}
}

// againFirst are those that were queued again and may run.
func againFirst(lane job.Lane, now int64) query {
	between := bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: now}}
	return query{append(inLane(lane).filter, bson.E{Key: "not_before", Value: between}), ascending("not_before"), byLane}
}

// acts are entries of the audit log. A job, and a user, have few.
func acts(q job.ActQuery, before string) query {
	id := is("_id", "$lt", before)
	also := func(index, field, value string, others ...bson.E) query {
		filter := bson.D{{Key: field, Value: value}, id}
		for _, other := range others {
			if other.Value != "" {
				filter = append(filter, other)
			}
		}
		return query{filter, newestFirst, index}
	}
	actor, owner := bson.E{Key: "actor", Value: q.Actor}, bson.E{Key: "owner", Value: q.Owner}
	switch {
	case q.JobID != "":
		return also(byJob, "job", q.JobID, actor, owner)
	case q.Owner != "":
		return also(byOwnerActs, "owner", q.Owner, actor)
	case q.Actor != "":
		return also(byActor, "actor", q.Actor)
	}
	return query{bson.D{id}, newestFirst, byID}
}

func actsBefore(now, keep int64) query {
	return query{bson.D{is("at", "$lte", now-keep)}, ascending("at"), byAt}
}
