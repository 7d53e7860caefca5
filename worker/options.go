package worker

import (
	"time"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// Options are the settings of a job as options of package transcode.
func Options(s job.Settings) transcode.Options {
	o := transcode.Options{
		SampleRate:   s.Rate,
		Channels:     transcode.Channels(s.Channels),
		Track:        s.Track,
		Language:     s.Lang,
		Start:        s.Start,
		End:          s.End,
		Duration:     s.Duration,
		NoTags:       s.NoTags,
		NoCover:      s.NoCover,
		AllowPartial: s.AllowPartial,
		Tags:         tags(s.Tags),
		Limits:       transcode.Limits{Duration: s.MaxDuration},
	}
	switch {
	case s.Bitrate != 0:
		o.Encoding = transcode.CBR(s.Bitrate)
	case s.VBR != nil:
		o.Encoding = transcode.VBR(*s.VBR)
	case s.ABR != 0:
		o.Encoding = transcode.ABR(s.ABR)
	}
	if s.ID3v24 {
		o.ID3 = transcode.ID3v24
	}
	return o
}

func tags(m map[string]string) transcode.Tags {
	return transcode.Tags{
		Title: m["title"], Artist: m["artist"], Album: m["album"], AlbumArtist: m["album_artist"],
		Composer: m["composer"], Date: m["date"], Track: m["track"], Disc: m["disc"], Genre: m["genre"],
		Comment: m["comment"], Copyright: m["copyright"], Grouping: m["grouping"], Lyrics: m["lyrics"],
		Description: m["description"],
	}
}

// bounded returns the limits of a job: the worker's, and the user's where it is
// lower.
func bounded(worker transcode.Limits, wished time.Duration) transcode.Limits {
	most := worker.Duration
	if most == 0 {
		most = transcode.DefaultMaxDuration
	}
	if wished > 0 && (most < 0 || wished < most) {
		worker.Duration = wished
	}
	return worker
}
