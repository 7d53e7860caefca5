package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
)

// The collections.
const (
	jobsName       = "jobs"
	keysName       = "request_keys"
	leasesName     = "job_leases"
	databaseName   = "job_database"
	quarantineName = "job_quarantine"
	usageName      = "usage_days"
	departuresName = "job_departures"
	auditName      = "job_audit"
)

// The indexes. Queries name theirs, so that no planner walks through all of a collection
// because it believes that it will soon find a few.
const (
	byOwner      = "jobs_owner"
	byOwnerState = "jobs_owner_state"
	byState      = "jobs_state"
	byDue        = "jobs_due"
	byNotice     = "jobs_notice"
	byTwin       = "jobs_twin"
	byWaiting    = "jobs_waiting"
	byTold       = "jobs_told"
	byStored     = "jobs_stored"
	byLane       = "jobs_lane"
	byIntent     = "jobs_intent"
	byExpiry     = "request_keys_expiry"
	byLast       = "job_quarantine_last"
	byDay        = "usage_days_day"
	byDeparture  = "job_departures_due"
	byOnce       = "job_audit_once"
	byAt         = "job_audit_at"
	byActor      = "job_audit_actor"
	byJob        = "job_audit_job"
	byOwnerActs  = "job_audit_owner"
	byID         = "_id_"
)

// schema is what the collections need to have. Its version grows with each change.
func schema() mongodb.Schema {
	keys := func(names ...string) bson.D {
		var d bson.D
		for _, name := range names {
			d = append(d, bson.E{Key: name, Value: 1})
		}
		return d
	}
	return mongodb.Schema{Name: "jobs", Version: 2, Indexes: map[string][]mongodb.Index{
		jobsName: {
			{Name: byOwner, Keys: keys("owner", "_id")},
			{Name: byOwnerState, Keys: keys("owner", "state", "_id")},
			{Name: byState, Keys: keys("state", "_id")},
			{Name: byDue, Keys: keys("state", "due_at")},
			{Name: byNotice, Keys: keys("notice_at")},
			{Name: byTwin, Keys: keys("twin"), Unique: true},
			{Name: byWaiting, Keys: keys("state", "placed", "owner", "due_at")},
			{Name: byTold, Keys: keys("state", "placed", "due_at")},
			{Name: byStored, Keys: keys("owner", "stored")},
			{Name: byLane, Keys: keys("state", "lane", "not_before", "created_at")},
			{Name: byIntent, Keys: keys("intent.at")},
		},
		keysName:       {{Name: byExpiry, Keys: keys("expires_at")}},
		quarantineName: {{Name: byLast, Keys: keys("last_at")}},
		usageName:      {{Name: byDay, Keys: keys("day")}},
		departuresName: {{Name: byDeparture, Keys: keys("due_at")}},
		auditName: {
			{Name: byOnce, Keys: keys("once"), Unique: true},
			{Name: byAt, Keys: keys("at")},
			{Name: byActor, Keys: keys("actor", "_id")},
			{Name: byJob, Keys: keys("job", "_id")},
			{Name: byOwnerActs, Keys: keys("owner", "_id")},
		},
	}}
}

// Migrate makes the indexes, or brings them up to date. Any number of processes may call
// it at the same time. It reports whether the database is of a newer version than this
// program.
func Migrate(ctx context.Context, db *mongodb.DB) (newer bool, err error) {
	newer, err = db.Migrate(ctx, schema())
	if err != nil {
		return false, fmt.Errorf("jobstore: %w", err)
	}
	return newer, nil
}
