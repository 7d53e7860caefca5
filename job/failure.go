package job

// Code is a short stable name for the way a job failed. Those that package
// transcode has are spelled the same here.
type Code string

// The codes.
const (
	// What is wrong with the source or the settings: another try cannot help.
	NoAudio     Code = "no_audio"
	InvalidData Code = "invalid_data"
	Truncated   Code = "truncated"
	Unsupported Code = "unsupported_codec"
	Encrypted   Code = "encrypted"
	Limit       Code = "limit_exceeded"
	BadOptions  Code = "bad_options"
	// TimedOut: the conversion took longer than a worker may spend on one job.
	TimedOut Code = "timed_out"
	// Crashed: the process that converted ended out of order, more than once, or two
	// workers were lost with the job.
	Crashed Code = "crashed"
	// OutOfMemory: the conversion wanted more memory than one job may have, more than
	// once.
	OutOfMemory Code = "out_of_memory"
	// Quarantined: the same bytes have crashed the converter before.
	Quarantined Code = "quarantined"
	// SourceMissing: the upload is not in the bucket any more.
	SourceMissing Code = "source_missing"

	// What is wrong with us: tried again, and final after the last try.

	// Storage: the bucket could not be read or written.
	Storage Code = "storage_unavailable"
	// StorageFull: the bucket has no room for the MP3.
	StorageFull Code = "storage_full"
	// WorkerLost: the worker died or lost its lease.
	WorkerLost Code = "worker_lost"
	// Internal: anything else; the log of the worker says what.
	Internal Code = "internal"
)

// Failure says why a job, or its last attempt, failed.
type Failure struct {
	Code Code `json:"code"`
	// Detail says more, in words made for users; may be empty. It holds nothing
	// of the machine's inside.
	Detail string `json:"detail,omitempty"`
}

// Codes returns all codes.
func Codes() []Code {
	return []Code{
		NoAudio, InvalidData, Truncated, Unsupported, Encrypted, Limit, BadOptions, TimedOut,
		Crashed, OutOfMemory, Quarantined, SourceMissing,
		Storage, StorageFull, WorkerLost, Internal,
	}
}

// Permanent reports whether another try with the same source and settings must
// end the same way.
func (c Code) Permanent() bool {
	switch c {
	case Storage, StorageFull, WorkerLost, Internal:
		return false
	}
	return true
}

// words are what a user is told: what is wrong, and what to do about it.
var words = map[Code]struct{ what, advice string }{
	NoAudio:       {"The file has no sound to convert.", "Check that it is the right file, or choose another track or part of it."},
	InvalidData:   {"The file is not a usable MP4 file, or its sound is damaged.", "If it plays elsewhere, save it again as MP4 there and upload that."},
	Truncated:     {"The file is cut off: its end, or its index, is missing.", "Copy or download it again and check that it is whole, or accept what there is with allow-partial."},
	Unsupported:   {"The sound is in a format that cannot be decoded.", "Save it with AAC sound elsewhere, or choose another track."},
	Encrypted:     {"The sound is copy-protected.", "Upload a copy without copy protection."},
	Limit:         {"The file goes beyond what one job may cost.", "Convert a part of it with start and end."},
	BadOptions:    {"The settings do not fit the file.", "Change them and upload it again."},
	TimedOut:      {"The conversion took too long and was stopped.", "Convert a part of the file with start and end."},
	Crashed:       {"The file made the converter crash.", "If it plays elsewhere, save it again as MP4 there and upload that."},
	OutOfMemory:   {"The conversion needed more memory than one job may have.", "If the file plays elsewhere, save it again as MP4 there and upload that."},
	Quarantined:   {"The file has stopped the converter before, and is not tried again.", "If it plays elsewhere, save it again as MP4 there and upload that."},
	SourceMissing: {"The uploaded file is no longer there.", "Upload it again."},
	Storage:       {"The storage could not be reached.", "Try again later; the upload is kept for a while."},
	StorageFull:   {"The service has no room left for the MP3.", "Tell its administrators, or try again later; the upload is kept for a while."},
	WorkerLost:    {"The conversion was interrupted, more than once.", "Try again later; the upload is kept for a while."},
	Internal:      {"Something went wrong on our side.", "Try again later; the upload is kept for a while."},
}

// Sentence says what is wrong, for the user.
func (f *Failure) Sentence() string {
	w, ok := words[f.Code]
	if !ok {
		w = words[Internal]
	}
	if f.Detail == "" {
		return w.what
	}
	return w.what[:len(w.what)-1] + " (" + f.Detail + ")."
}

// Advice says what the user can do about it.
func (f *Failure) Advice() string {
	if w, ok := words[f.Code]; ok {
		return w.advice
	}
	return words[Internal].advice
}
