package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// jobBody is a job as the API shows it.
type jobBody struct {
	ID           string        `json:"id" format:"uuid" doc:"The job's ID; IDs sort by the time of the upload"`
	State        string        `json:"state" enum:"queued,running,succeeded,failed,canceled,expired" doc:"Where the job stands"`
	Version      int64         `json:"version" doc:"Grows with every change of the job"`
	Owner        string        `json:"owner,omitempty" doc:"Whose job it is; shown to administrators only"`
	FileName     string        `json:"file_name" doc:"What the upload was called; may be empty"`
	SourceBytes  int64         `json:"source_bytes" doc:"Size of the upload"`
	SourceSHA256 string        `json:"source_sha256" doc:"SHA-256 of the upload, in hex"`
	Settings     settingsBody  `json:"settings" doc:"What was asked for"`
	Notify       bool          `json:"notify" doc:"Whether the end is told by mail"`
	Attempt      int           `json:"attempt" doc:"How often a worker has begun the job"`
	Position     int           `json:"queue_position,omitempty" doc:"Place in the queue, 1 is the next; for a single queued job only, not in lists"`
	Progress     *progressBody `json:"progress,omitempty" doc:"How far a running job has come"`
	Failure      *failureBody  `json:"failure,omitempty" doc:"Why the job failed, or, while it is queued again, its last attempt"`
	Result       *resultBody   `json:"result,omitempty" doc:"What came of a job that has succeeded"`
	CreatedAt    time.Time     `json:"created_at" doc:"When it was uploaded"`
	NotBefore    *time.Time    `json:"not_before,omitempty" doc:"Earliest time of the next attempt of a queued job"`
	StartedAt    *time.Time    `json:"started_at,omitempty" doc:"When the last attempt began"`
	EndedAt      *time.Time    `json:"ended_at,omitempty" doc:"When the job ended"`
	ExpiresAt    *time.Time    `json:"expires_at,omitempty" doc:"When its files are removed"`
	Duplicate    bool          `json:"duplicate,omitempty" doc:"In the answer to an upload: this is an earlier job of the same file and settings"`
	Links        linksBody     `json:"links" doc:"Where to go from here"`
}

type settingsBody struct {
	Bitrate      int               `json:"bitrate,omitempty" doc:"Constant bit rate in kb/s"`
	VBR          *int              `json:"vbr,omitempty" doc:"Variable bit rate by quality, 0 (best) to 9"`
	ABR          int               `json:"abr,omitempty" doc:"Average bit rate in kb/s"`
	Rate         int               `json:"rate,omitempty" doc:"Sample rate in Hz"`
	Channels     int               `json:"channels,omitempty" doc:"1 is mono, 2 stereo"`
	Track        int               `json:"track,omitempty" doc:"Track by number, from 1"`
	Lang         string            `json:"lang,omitempty" doc:"Track by language"`
	Start        float64           `json:"start,omitempty" doc:"Start of the cut in seconds"`
	End          float64           `json:"end,omitempty" doc:"End of the cut in seconds"`
	Duration     float64           `json:"duration,omitempty" doc:"Length of the cut in seconds"`
	MaxDuration  float64           `json:"max-duration,omitempty" doc:"Most seconds of MP3; -1 for no limit of the user's own"`
	AllowPartial bool              `json:"allow-partial,omitempty" doc:"Take what there is of a damaged file"`
	Tags         map[string]string `json:"tags,omitempty" doc:"Tags set by title, artist, album and tag"`
	NoTags       bool              `json:"no-tags,omitempty" doc:"Leave out the source's tags"`
	NoCover      bool              `json:"no-cover,omitempty" doc:"Leave out the source's cover"`
	ID3v24       bool              `json:"id3v24,omitempty" doc:"Write ID3v2.4"`
}

type progressBody struct {
	Fraction float64 `json:"fraction" minimum:"0" maximum:"1" doc:"Part done; 0 while the total is not known"`
	Position float64 `json:"position_seconds" doc:"Seconds of MP3 made"`
	Total    float64 `json:"total_seconds" doc:"Seconds of MP3 expected; 0 if not known"`
}

type failureBody struct {
	Code    string `json:"code" doc:"A stable name for what went wrong"`
	Message string `json:"message" doc:"What went wrong, for people"`
	Advice  string `json:"advice" doc:"What to do about it"`
	Detail  string `json:"detail,omitempty" doc:"The part of the message that is not in every message of this code"`
}

type resultBody struct {
	Bytes        int64   `json:"bytes" doc:"Size of the MP3"`
	Duration     float64 `json:"duration_seconds" doc:"Length of the MP3"`
	Samples      int64   `json:"samples" doc:"Samples per channel"`
	SampleRate   int     `json:"sample_rate" doc:"In Hz"`
	Channels     int     `json:"channels" doc:"1 or 2"`
	Encoding     string  `json:"encoding" doc:"Such as VBR 2; copy if MP3 frames were copied"`
	Track        int     `json:"track" doc:"Track that was converted, from 1"`
	Codec        string  `json:"codec" doc:"Codec of the track"`
	Language     string  `json:"language,omitempty" doc:"Language of the track, if known"`
	BytesRead    int64   `json:"bytes_read" doc:"Bytes of the upload that were read"`
	WallTime     float64 `json:"wall_seconds" doc:"How long the conversion took"`
	DecodeErrors int     `json:"decode_errors" doc:"Damaged frames that became silence"`
	Partial      bool    `json:"partial" doc:"The source was cut off or damaged, and what there was was taken"`
}

type linksBody struct {
	Self   string `json:"self" format:"uri-reference" doc:"The job"`
	Events string `json:"events" format:"uri-reference" doc:"Its changes as server-sent events"`
	Audio  string `json:"audio,omitempty" format:"uri-reference" doc:"The MP3, if it is there"`
}

// view shows a job to a user.
func view(j *job.Job, u user) *jobBody {
	self := jobPath(j.ID)
	b := &jobBody{
		ID: j.ID, State: string(j.State), Version: j.Version, FileName: j.FileName,
		SourceBytes: j.SourceBytes, SourceSHA256: j.SourceSHA256,
		Settings: viewSettings(&j.Settings), Notify: j.NotifyTo != "", Attempt: j.Attempt,
		CreatedAt: j.Created.UTC(),
		StartedAt: timeOrNil(j.Started), EndedAt: timeOrNil(j.Ended), ExpiresAt: timeOrNil(j.Expires),
		Links: linksBody{Self: self, Events: self + "/events"},
	}
	if u.admin {
		b.Owner = j.Owner
	}
	switch j.State {
	case job.Queued:
		b.NotBefore = timeOrNil(j.NotBefore)
	case job.Running:
		b.Progress = &progressBody{
			Fraction: j.Progress.Fraction(), Position: j.Progress.Position.Seconds(), Total: j.Progress.Total.Seconds(),
		}
	case job.Succeeded:
		b.Links.Audio = self + "/audio"
	}
	if f := j.Failure; f != nil {
		b.Failure = &failureBody{Code: string(f.Code), Message: f.Sentence(), Advice: f.Advice(), Detail: f.Detail}
	}
	if r := j.Result; r != nil {
		b.Result = &resultBody{
			Bytes: r.Bytes, Duration: r.Duration, Samples: r.Samples, SampleRate: r.SampleRate,
			Channels: r.Channels, Encoding: r.Encoding, Track: r.Track, Codec: r.Codec, Language: r.Language,
			BytesRead: r.BytesRead, WallTime: r.WallTime, DecodeErrors: r.DecodeErrors, Partial: r.Partial,
		}
	}
	return b
}

func viewSettings(s *job.Settings) settingsBody {
	b := settingsBody{
		Bitrate: s.Bitrate, VBR: s.VBR, ABR: s.ABR, Rate: s.Rate, Channels: s.Channels, Track: s.Track, Lang: s.Lang,
		Start: s.Start.Seconds(), End: s.End.Seconds(), Duration: s.Duration.Seconds(),
		MaxDuration: s.MaxDuration.Seconds(), AllowPartial: s.AllowPartial, Tags: s.Tags,
		NoTags: s.NoTags, NoCover: s.NoCover, ID3v24: s.ID3v24,
	}
	if s.MaxDuration < 0 {
		b.MaxDuration = -1
	}
	return b
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func jobPath(id string) string { return "/v1/jobs/" + id }

// viewOne shows a single job, with its place in the queue.
func (g *Gateway) viewOne(ctx context.Context, j *job.Job, u user) *jobBody {
	b := view(j, u)
	if j.State == job.Queued {
		// Not told if it cannot be found out, as when a worker has just begun.
		if n, err := g.jobs.Position(ctx, j.ID); err == nil {
			b.Position = n
		}
	}
	return b
}

// tag is the job's entity tag. It is weak: it is that of the facts and not of
// their spelling.
func (b *jobBody) tag() string { return fmt.Sprintf(`W/"%d.%d"`, b.Version, b.Position) }

// jobOf returns a job that the user may see, for an action, which is noted if it is an
// administrator's on a job of another. To everybody else the job does not exist.
func (g *Gateway) jobOf(ctx context.Context, id string, u user, action job.Action) (job.Job, error) {
	j, err := g.find(ctx, id, u)
	if err == nil {
		err = g.note(ctx, u, action, &j)
	}
	if err != nil {
		return job.Job{}, err
	}
	return j, nil
}

// find is jobOf for those who note the action themselves.
func (g *Gateway) find(ctx context.Context, id string, u user) (job.Job, error) {
	if !job.ValidID(id) {
		return job.Job{}, noJob()
	}
	j, err := g.jobs.Get(ctx, id)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return job.Job{}, noJob()
	case err != nil:
		return job.Job{}, storeTrouble(err)
	case j.Owner != u.id && !u.admin:
		return job.Job{}, noJob()
	}
	return j, nil
}
