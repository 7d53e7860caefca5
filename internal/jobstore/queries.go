package jobstore

import (
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// queries holds the text of every statement, so that a test can ask both databases
// how they would run each of them.
type queries struct {
	// Of one job. The changes return the row where the dialect can (RETURNING).
	insert, adopt, get, state, position      string
	cancel, retry, remove                    string
	claim, heartbeat, succeed, fail, release string
	enqueued, expire                         string
	claimNotice, notified, releaseNotice     string
	// Of all.
	census, waiting string
	// Of many.
	list, listOwner, listState, listOwnerState  string
	overdue, lost, untold, expirable, purgeable string
	requeue, giveUp                             string
	// Of turns.
	turn, place, waitingOwners string
	// Of what users take up.
	usage, spend, spendFirst, usagePurge string
	// Of the database.
	identity, identityNew, countWalk string
	purge, states                    string
	// Of jobs that answer later uploads.
	twin, join, displace string
	// Of named leases.
	leaseTake, leaseNew, leaseEnd string
	// Of files that crash.
	crash, crashNew, crashes, quarantined string
	pardon, forget                        string
	// Of what administrators did.
	actNew, acts, actsActor, actsJob, actsOwner, actPurge string
	// Of the keys of requests.
	keyGet, keyNew, keyTake, keyHold     string
	keyJob, keyAnswer, keyFree, keyPurge string
}

// relaxed are the changes that a power cut may undo, for they are made again, or have
// lost their sense, when the machine is up again: that a worker has begun a job and
// how far it has come, who tells of an end, what the queue was told, who sweeps, who
// has a key, in which words it was answered, how much was uploaded today. What was promised to others or decides
// over files is not among them: jobs that were accepted or ended, mails that were sent,
// and which job a key has led to.
//
// A lost claim makes the job queued again. Its next attempt has the number of the
// lost one, which has ended with the machine, as has its lease.
func (q *queries) relaxed() []string {
	return []string{q.claim, q.heartbeat, q.enqueued, q.place, q.claimNotice, q.releaseNotice, q.leaseTake, q.leaseNew, q.leaseEnd,
		q.spend, q.spendFirst, q.usagePurge, q.keyNew, q.keyTake, q.keyHold, q.keyAnswer, q.keyFree, q.keyPurge}
}

// columns in the order in which scan reads them.
const columns = `id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
	state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
	version, created_at, not_before, started_at, ended_at, due_at, notified_at, lane, placed, trace`

// newQueries writes the statements in a database's dialect. It fills in {now}, its
// clock; {today}, the days since the epoch by it; {columns}; {by X/}, which has an optimizer use the index X, where it may
// otherwise believe that a few rows are soon found by walking through all of them; {row}, which returns a changed row where that is possible;
// {next}, the attempt that a claim begins; {place}, whether the queue is told at once of
// what is queued; and {ids}, as many placeholders as
// chunk. On MySQL {next} is also what the driver reports as the last ID inserted.
func newQueries(db *sqldb.DB, window int) queries {
	place := "1"
	if window > 0 {
		place = "0"
	}
	row, next, by, byEnd := "", "LAST_INSERT_ID(attempt + 1)", "FORCE INDEX (", ")"
	if db.Dialect() == sqldb.SQLite {
		row, next, by, byEnd = " RETURNING "+columns, "attempt + 1", "INDEXED BY ", ""
	}
	today := "(" + db.Now() + " DIV 86400000000)"
	if db.Dialect() == sqldb.SQLite {
		today = "(" + db.Now() + " / 86400000000)"
	}
	fill := strings.NewReplacer("{now}", db.Now(), "{today}", today, "{columns}", columns, "{row}", row, "{next}", next,
		"{by ", by, "/}", byEnd, "{place}", place, "{ids}", strings.Repeat("?, ", chunk-1)+"?").Replace

	const (
		actColumns = `id, at, actor, actor_email, place, action, job, owner, detail`

		// A key that its holder holds, though he may have been slow; and one that may
		// be taken from him.
		heldKey = ` WHERE owner = ? AND name = ? AND holder = ? AND status = 0`
		freeKey = `(expires_at <= {now} OR status = 0 AND job = '' AND held_until <= {now})`

		// What belongs to a running job only.
		idle = `worker = '', progress = 0, progress_total = 0`
		// How long the files of a job are kept that has ended: as long as the service
		// keeps them (twice), or as its owner wishes.
		keep = `CASE WHEN keep_for > 0 AND keep_for < ? THEN keep_for ELSE ? END`
		// The end of a job begins its notice, if somebody wants one.
		notice = `notice_at = CASE WHEN notify_to = '' THEN 0 ELSE {now} END, notice_lease_until = 0`
		// Which job an attempt holds.
		held = ` WHERE id = ? AND state = 'running' AND attempt = ?{row}`
		// Which job an attempt holds no longer than until somebody notices.
		lapsed = ` WHERE id = ? AND state = 'running' AND attempt = ? AND due_at < {now}{row}`

		fail = `UPDATE jobs SET state = 'failed', version = version + 1, ` + idle + `,
			failure_code = ?, failure_detail = ?, ended_at = {now}, due_at = {now} + ` + keep + `, ` + notice
		release = `UPDATE jobs SET state = 'queued', version = version + 1, ` + idle + `, tries = tries - ?,
			failure_code = ?, failure_detail = ?, not_before = {now} + ?, due_at = {now} + ?, placed = {place}`
	)
	keyPurge := `DELETE FROM request_keys WHERE expires_at <= {now} ORDER BY expires_at LIMIT ?`
	if db.Dialect() == sqldb.SQLite {
		keyPurge = `DELETE FROM request_keys WHERE rowid IN (
			SELECT rowid FROM request_keys WHERE expires_at <= {now} ORDER BY expires_at LIMIT ?)`
	}
	actPurge := `DELETE FROM job_audit WHERE at <= {now} - ? ORDER BY at LIMIT ?`
	if db.Dialect() == sqldb.SQLite {
		actPurge = `DELETE FROM job_audit WHERE rowid IN (
			SELECT rowid FROM job_audit WHERE at <= {now} - ? ORDER BY at LIMIT ?)`
	}
	// From owner to owner, in one statement, and not from job to job: MySQL by the groups
	// of the index, for which they have to be all of its first columns; SQLite, which does
	// not know how to do that, by looking for the next owner after each.
	const room = `(SELECT 1 FROM jobs {by jobs_waiting/}
			WHERE state = 'queued' AND placed = 1 AND owner = waiting.owner LIMIT 1 OFFSET ?) IS NULL`
	waitingOwners := `SELECT owner, due <= {now} AND ` + room + ` FROM (
			SELECT state, placed, owner, MIN(due_at) AS due FROM jobs {by jobs_waiting/}
			WHERE state = 'queued' AND placed = 0 AND owner > ?
			GROUP BY state, placed, owner ORDER BY state, placed, owner LIMIT ?) AS waiting`
	if db.Dialect() == sqldb.SQLite {
		const next = `(SELECT MIN(owner) FROM jobs {by jobs_waiting/} WHERE state = 'queued' AND placed = 0 AND owner > `
		waitingOwners = `WITH RECURSIVE waiting (owner) AS (
			SELECT ` + next + `?2) UNION ALL SELECT ` + next + `waiting.owner) FROM waiting WHERE owner IS NOT NULL LIMIT ?3)
			SELECT owner, (SELECT MIN(due_at) FROM jobs {by jobs_waiting/}
				WHERE state = 'queued' AND placed = 0 AND owner = waiting.owner) <= {now}
				AND ` + strings.Replace(room, "?", "?1", 1) + ` FROM waiting WHERE owner IS NOT NULL`
	}
	return queries{
		insert: fill(`INSERT INTO jobs (id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
			state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
			version, created_at, not_before, started_at, ended_at, due_at,
			notice_at, notice_lease_until, notified_at, notice_error, twin, lane, placed, stored, keep_for, trace)
			VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', 0, 0, '', 0, 0, '', '', '', 1, {now}, 0, 0, 0, {now}, 0, 0, 0, '', ?, ?, {place}, ?, ?, ?){row}`),
		adopt: fill(`INSERT INTO jobs (id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
			twin, lane, stored, keep_for, trace, result, created_at, kept, due_at,
			state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail,
			version, not_before, started_at, ended_at, notice_at, notice_lease_until, notified_at, notice_error, placed)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {now} + ?,
			'succeeded', 1, 1, '', 0, 0, '', '', 1, 0, {now}, {now}, 0, 0, 0, '', {place}){row}`),
		get:   fill(`SELECT {columns} FROM jobs WHERE id = ?`),
		state: `SELECT state, attempt, notified_at FROM jobs WHERE id = ?`,
		position: fill(`SELECT CASE WHEN state <> 'queued' THEN 0
			WHEN placed = 1 THEN 1 + (SELECT COUNT(*) FROM (
				SELECT 1 FROM jobs {by jobs_waiting/} WHERE state = 'queued' AND placed = 1 AND id < ? LIMIT ?) AS ahead)
			ELSE 1 + (SELECT COUNT(*) FROM (
				SELECT 1 FROM jobs {by jobs_waiting/} WHERE state = 'queued' AND placed = 1 LIMIT ?) AS ahead)
			+ (SELECT COUNT(*) FROM (
				SELECT 1 FROM jobs {by jobs_waiting/} WHERE state = 'queued' AND placed = 0
				AND owner = (SELECT owner FROM jobs WHERE id = ?) AND id < ? LIMIT ?) AS ahead) END
			FROM jobs WHERE id = ?`),

		cancel: fill(`UPDATE jobs SET state = 'canceled', version = version + 1, ` + idle + `,
			failure_code = '', failure_detail = '', not_before = 0, ended_at = {now}, due_at = {now} + ?, stored = 0
			WHERE id = ? AND state IN ('queued', 'running'){row}`),
		retry: fill(`UPDATE jobs SET state = 'queued', version = version + 1, tries = 0,
			failure_code = '', failure_detail = '', not_before = {now}, ended_at = 0, due_at = {now}, placed = {place},
			notice_at = 0, notice_lease_until = 0, notified_at = 0, notice_error = ''
			WHERE id = ? AND state = 'failed'{row}`),
		remove: `DELETE FROM jobs WHERE id = ? AND state IN ('succeeded', 'failed', 'canceled', 'expired')`,

		claim: fill(`UPDATE jobs SET state = 'running', version = version + 1, attempt = {next}, tries = tries + 1,
			worker = ?, progress = 0, progress_total = 0, failure_code = '', failure_detail = '',
			not_before = 0, started_at = {now}, due_at = {now} + ?
			WHERE id = ? AND state = 'queued'{row}`),
		heartbeat: fill(`UPDATE jobs SET version = version + 1, progress = ?, progress_total = ?, due_at = {now} + ?
			WHERE id = ? AND state = 'running' AND attempt = ?`),
		succeed: fill(`UPDATE jobs SET state = 'succeeded', version = version + 1, ` + idle + `,
			result = ?, stored = ?, ended_at = {now}, kept = ` + keep + `, due_at = {now} + ` + keep + `, ` + notice + held),
		fail:    fill(fail + held),
		release: fill(release + held),
		giveUp:  fill(fail + lapsed),
		requeue: fill(release + lapsed),

		enqueued: fill(`UPDATE jobs SET version = version + 1, due_at = {now}
			WHERE id = ? AND state = 'queued' AND attempt = ?`),
		expire: fill(`UPDATE jobs SET state = 'expired', version = version + 1, due_at = {now}, stored = 0,
			notice_at = 0, notice_lease_until = 0
			WHERE id = ? AND state IN ('succeeded', 'failed', 'canceled') AND due_at <= {now}{row}`),

		claimNotice: fill(`UPDATE jobs SET version = version + 1, notice_at = {now}, notice_lease_until = {now} + ?
			WHERE id = ? AND state IN ('succeeded', 'failed') AND notice_at > 0 AND notice_lease_until <= {now}{row}`),
		notified: fill(`UPDATE jobs SET version = version + 1, notified_at = {now}, notice_error = ?,
			notice_at = 0, notice_lease_until = 0
			WHERE id = ? AND state IN ('succeeded', 'failed', 'expired') AND attempt = ? AND notified_at = 0 AND notify_to <> ''`),
		releaseNotice: `UPDATE jobs SET version = version + 1, notice_lease_until = 0
			WHERE id = ? AND notice_lease_until > 0`,

		list:           fill(`SELECT {columns} FROM jobs WHERE id < ? ORDER BY id DESC LIMIT ?`),
		listOwner:      fill(`SELECT {columns} FROM jobs {by jobs_owner/} WHERE owner = ? AND id < ? ORDER BY id DESC LIMIT ?`),
		listState:      fill(`SELECT {columns} FROM jobs {by jobs_state/} WHERE state = ? AND id < ? ORDER BY id DESC LIMIT ?`),
		listOwnerState: fill(`SELECT {columns} FROM jobs {by jobs_owner_state/} WHERE owner = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?`),

		// Whose cost grows with the rows: for metrics, not often.
		census: `SELECT state, COUNT(*) FROM jobs GROUP BY state`,
		// A job waits since it was made, or since it was queued again.
		waiting: fill(`SELECT lane, COUNT(*), COALESCE({now} - MIN(CASE
				WHEN not_before <= created_at THEN created_at
				WHEN not_before <= {now} THEN not_before END), 0)
			FROM jobs {by jobs_waiting/} WHERE state = 'queued' GROUP BY lane`),
		// Who was told of longest ago comes first: else the same ones come in every sweep.
		overdue: fill(`SELECT {columns} FROM jobs {by jobs_told/}
			WHERE state = 'queued' AND placed = 1 AND due_at <= {now} - ? AND not_before <= {now} ORDER BY due_at LIMIT ?`),
		// Who is next, beside how many of his have a place already: at one moment.
		turn: fill(`SELECT {columns}, (SELECT COUNT(*) FROM (
				SELECT 1 FROM jobs {by jobs_waiting/} WHERE state = 'queued' AND placed = 1 AND owner = ? LIMIT ?) AS ahead)
			FROM jobs {by jobs_waiting/}
			WHERE state = 'queued' AND placed = 0 AND owner = ? AND due_at <= {now} ORDER BY due_at LIMIT ?`),
		place:         fill(`UPDATE jobs SET placed = 1, due_at = {now} WHERE id = ? AND state = 'queued' AND placed = 0`),
		waitingOwners: fill(waitingOwners),

		usage: fill(`SELECT (SELECT COUNT(*) FROM (
				SELECT 1 FROM jobs {by jobs_owner_state/} WHERE owner = ? AND state = 'queued' LIMIT ?) AS ahead),
			COALESCE((SELECT SUM(stored) FROM jobs {by jobs_stored/} WHERE owner = ? AND stored > 0), 0),
			COALESCE((SELECT bytes FROM usage_days WHERE owner = ? AND day = {today}), 0),
			({today} + 1) * 86400000000 - {now}`),
		spend:      fill(`UPDATE usage_days SET bytes = bytes + ? WHERE owner = ? AND day = {today} AND bytes <= ?`),
		spendFirst: fill(`INSERT INTO usage_days (owner, day, bytes) VALUES (?, {today}, ?)`),
		usagePurge: fill(`DELETE FROM usage_days WHERE day < {today} - 1`),
		lost: fill(`SELECT {columns} FROM jobs
			WHERE state = 'running' AND due_at < {now} ORDER BY due_at LIMIT ?`),
		untold: fill(`SELECT {columns} FROM jobs
			WHERE notice_at > 0 AND notice_at <= {now} - ? AND notice_lease_until <= {now} ORDER BY notice_at LIMIT ?`),
		// In no order: three states are three places of the index.
		expirable: fill(`SELECT {columns} FROM jobs
			WHERE state IN ('succeeded', 'failed', 'canceled') AND due_at <= {now} LIMIT ?`),
		purgeable: fill(`SELECT id FROM jobs
			WHERE state = 'expired' AND due_at <= {now} - ? ORDER BY due_at LIMIT ?`),
		purge:  fill(`DELETE FROM jobs WHERE id IN ({ids}) AND state = 'expired'`),
		states: fill(`SELECT id, state, attempt FROM jobs WHERE id IN ({ids})`),

		twin: fill(`SELECT {columns} FROM jobs WHERE twin = ?`),
		// MySQL sees the columns to the left as they are set, so notify_to comes late.
		join: fill(`UPDATE jobs SET version = version + 1,
			notice_at = CASE WHEN state = 'succeeded' AND notify_to = '' AND ? <> '' THEN 1 ELSE notice_at END,
			notify_to = CASE WHEN notify_to = '' THEN ? ELSE notify_to END,
			file_name = CASE WHEN ? = '' THEN file_name ELSE ? END,
			due_at = CASE WHEN state = 'succeeded' AND due_at < {now} + kept THEN {now} + kept ELSE due_at END
			WHERE id = ? AND twin = ? AND (state IN ('queued', 'running') OR state = 'succeeded' AND due_at > {now}){row}`),
		displace: `UPDATE jobs SET twin = NULL WHERE id = ? AND twin = ? AND state NOT IN ('queued', 'running')`,

		identity:    `SELECT id, walks FROM job_database WHERE one = 1`,
		identityNew: `INSERT INTO job_database (one, id, walks) VALUES (1, ?, 0)`,
		countWalk:   `UPDATE job_database SET walks = walks + 1 WHERE one = 1`,

		leaseTake: fill(`UPDATE job_leases SET holder = ?, ends = {now} + ?
			WHERE name = ? AND (holder = ? OR ends <= {now})`),
		leaseNew: fill(`INSERT INTO job_leases (name, holder, ends) VALUES (?, ?, {now} + ?)`),
		leaseEnd: `UPDATE job_leases SET ends = 0 WHERE name = ? AND holder = ?`,

		// An attempt counts once, however often it is told of.
		crash: fill(`UPDATE job_quarantine SET crashes = crashes + 1, code = ?, attempt = ?, last_at = {now}
			WHERE sha256 = ? AND attempt <> ?`),
		crashNew:    fill(`INSERT INTO job_quarantine (sha256, crashes, code, attempt, last_at) VALUES (?, 1, ?, ?, {now})`),
		crashes:     `SELECT crashes, code, attempt FROM job_quarantine WHERE sha256 = ?`,
		quarantined: `SELECT sha256, crashes, code, last_at FROM job_quarantine WHERE last_at > 0 ORDER BY last_at DESC LIMIT ?`,
		pardon:      `DELETE FROM job_quarantine WHERE sha256 = ?`,
		forget:      fill(`DELETE FROM job_quarantine WHERE last_at <= {now} - ?`),

		actNew: fill(`INSERT INTO job_audit (id, at, actor, actor_email, place, action, job, owner, detail, once)
			VALUES (?, {now}, ?, ?, ?, ?, ?, ?, ?, ?)`),
		acts:      `SELECT ` + actColumns + ` FROM job_audit WHERE id < ? ORDER BY id DESC LIMIT ?`,
		actsActor: fill(`SELECT ` + actColumns + ` FROM job_audit {by job_audit_actor/} WHERE actor = ? AND id < ? ORDER BY id DESC LIMIT ?`),
		// A job, and a user, have few.
		actsJob: fill(`SELECT ` + actColumns + ` FROM job_audit {by job_audit_job/}
			WHERE job = ? AND id < ? AND (? = '' OR actor = ?) AND (? = '' OR owner = ?) ORDER BY id DESC LIMIT ?`),
		actsOwner: fill(`SELECT ` + actColumns + ` FROM job_audit {by job_audit_owner/}
			WHERE owner = ? AND id < ? AND (? = '' OR actor = ?) ORDER BY id DESC LIMIT ?`),
		actPurge: fill(actPurge),

		keyGet: fill(`SELECT head, body, bytes, job, status, header, answer, holder,
			CASE WHEN status = 0 AND held_until > {now} THEN 1 ELSE 0 END, CASE WHEN ` + freeKey + ` THEN 1 ELSE 0 END
			FROM request_keys WHERE owner = ? AND name = ?`),
		keyNew: fill(`INSERT INTO request_keys (owner, name, head, body, bytes, holder, held_until, job, status, header, answer, expires_at)
			VALUES (?, ?, ?, '', ?, ?, {now} + ?, '', 0, '', '', {now} + ?)`),
		keyTake: fill(`UPDATE request_keys SET head = ?, body = '', bytes = ?, holder = ?, held_until = {now} + ?,
			job = '', status = 0, header = '', answer = '', expires_at = {now} + ?
			WHERE owner = ? AND name = ? AND holder = ? AND ` + freeKey),
		keyHold:   fill(`UPDATE request_keys SET held_until = {now} + ?` + heldKey),
		keyJob:    `UPDATE request_keys SET job = ?, body = ?, bytes = ?` + heldKey + ` AND job = ''`,
		keyAnswer: `UPDATE request_keys SET body = ?, bytes = ?, status = ?, header = ?, answer = ?` + heldKey,
		keyFree:   `DELETE FROM request_keys` + heldKey + ` AND job = ''`,
		keyPurge:  fill(keyPurge),
	}
}
