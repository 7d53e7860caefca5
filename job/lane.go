package job

// Lane is the way by which a job reaches the workers, which serve the lanes side by
// side, each by its weight: a job in one never waits for all of those in another.
type Lane string

// The lanes.
const (
	// LaneShort is for what is done soon.
	LaneShort Lane = "short"
	// LaneDefault is for all else.
	LaneDefault Lane = ""
	// LaneBulk is for what may wait: one of very many, or what its owner has no hurry
	// with.
	LaneBulk Lane = "bulk"
)

// Lanes returns all lanes.
func Lanes() []Lane { return []Lane{LaneShort, LaneDefault, LaneBulk} }
