package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/mp3lathe/mp3lathe/internal/human"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// probeCmd is "mp3lathe probe".
type probeCmd struct {
	In   []string `arg:"" complete:"files" help:"MP4 files, or - for standard input."`
	JSON bool     `name:"json" help:"Print one JSON object for each input (docs/cli.md)."`
}

func (*probeCmd) usage() string { return "mp3lathe probe IN... [flags]" }

func (*probeCmd) footer() string {
	return `Examples:
  mp3lathe probe film.mp4
  mp3lathe probe --json *.m4a

` + exitCodes
}

// Run describes every input, and carries on past those that fail.
func (c *probeCmd) Run(ctx context.Context, std *stdio) error {
	stdin := 0
	for _, in := range c.In {
		if in == "-" {
			stdin++
		}
	}
	switch {
	case stdin > 1:
		return usagef("standard input (-) can be given once")
	case stdin == 1 && isTerminal(std.in):
		return usagef("standard input is a terminal; pipe an MP4 file into it, or name one")
	}
	failed := false
	for i, in := range c.In {
		info, err := probe(ctx, in, std.in)
		if interrupted(ctx, err) {
			fmt.Fprintln(std.err, "mp3lathe: interrupted")
			return errInterrupted
		}
		rec := probeRecord{Input: in, Status: "done"}
		if err != nil {
			failed = true
			e := explain(err, asked{})
			rec.Status, rec.Error = "failed", &e
			fmt.Fprintln(std.err, "mp3lathe: "+printable(inputName(in)+": "+e.line()))
		} else {
			rec.probeFacts = newProbeFacts(info)
		}
		switch {
		case c.JSON:
			fmt.Fprintln(std.out, asJSON(rec))
		case err == nil:
			if i > 0 {
				fmt.Fprintln(std.out)
			}
			io.WriteString(std.out, describe(inputName(in), info))
		}
	}
	if failed {
		return errReported
	}
	return nil
}

func probe(ctx context.Context, in string, stdin io.Reader) (*transcode.Info, error) {
	src, closeSource, err := openInput(ctx, in, stdin)
	if err != nil {
		return nil, err
	}
	defer closeSource()
	return transcode.Probe(ctx, src)
}

// describe writes what is in a file for people.
func describe(name string, info *transcode.Info) string {
	var b strings.Builder
	b.WriteString(printable(name) + "\n")
	format := "MP4 family"
	if brand := strings.TrimSpace(info.Brand); brand != "" {
		format += ", brand " + printable(brand)
	}
	if info.Fragmented {
		format += ", fragmented"
	}
	if info.IndexFirst {
		format += ", index first"
	} else {
		format += ", index last"
	}
	rows := [][]string{{"Format", format}}
	if info.Duration > 0 { // fragmented files mostly declare none
		rows = append(rows, []string{"Duration", human.Clock(info.Duration)})
	}
	rows = append(rows, []string{"Size", human.Size(info.Bytes)})
	switch info.OtherTracks {
	case 0:
	case 1:
		rows = append(rows, []string{"Other", "1 track that is not audio"})
	default:
		rows = append(rows, []string{"Other", fmt.Sprintf("%d tracks that are not audio", info.OtherTracks)})
	}
	if len(info.Audio) == 0 {
		rows = append(rows, []string{"Audio", "none"})
	}
	for _, cover := range info.Covers {
		rows = append(rows, []string{"Cover", cover.MIME + ", " + human.Size(cover.Bytes)})
	}
	for _, f := range tagFields(&info.Tags) {
		if *f.value != "" {
			for i, line := range tagLines(*f.value) {
				label := ""
				if i == 0 {
					label = tagLabel(f.name)
				}
				rows = append(rows, []string{label, line})
			}
		}
	}
	b.WriteString(columns("  ", rows))
	if len(info.Audio) > 0 {
		b.WriteString("\n" + columns("  ", trackRows(info.Audio)))
	}
	if len(info.Chapters) > 0 {
		rows := [][]string{{"CHAPTER", "START", "TITLE"}}
		for i, ch := range info.Chapters {
			rows = append(rows, []string{fmt.Sprint(i + 1), human.ShortClock(ch.Start), printable(ch.Title)})
		}
		b.WriteString("\n" + columns("  ", rows))
	}
	return b.String()
}

// trackRows is the table of the audio tracks. Columns that all tracks leave
// empty are left out.
func trackRows(tracks []transcode.Track) [][]string {
	rows := [][]string{{"AUDIO", "CODEC", "RATE", "CHANNELS", "BIT RATE", "DURATION", "LANGUAGE", "TITLE", "NOTES"}}
	for _, t := range tracks {
		row := []string{fmt.Sprint(t.Number), strings.TrimSpace(printable(t.Codec) + " " + printable(t.Profile)),
			"", "", "", human.Clock(t.Duration), printable(t.Language), printable(t.Title), ""}
		if t.SampleRate > 0 {
			row[2] = human.Kilohertz(t.SampleRate)
		}
		switch {
		case t.Layout != "":
			row[3] = printable(t.Layout)
		case t.Channels > 0:
			row[3] = fmt.Sprint(t.Channels)
		}
		if t.BitRate > 0 {
			row[4] = fmt.Sprintf("%d kb/s", (t.BitRate+500)/1000)
		}
		var notes []string
		if t.Default && len(tracks) > 1 {
			notes = append(notes, "default")
		}
		switch {
		case t.Encrypted:
			notes = append(notes, "encrypted")
		case !t.Decodable:
			notes = append(notes, "cannot be decoded")
		}
		row[8] = strings.Join(notes, ", ")
		rows = append(rows, row)
	}
	for i := len(rows[0]) - 1; i >= 0; i-- {
		empty := true
		for _, row := range rows[1:] {
			empty = empty && row[i] == ""
		}
		if empty {
			for j, row := range rows {
				rows[j] = append(row[:i:i], row[i+1:]...)
			}
		}
	}
	return rows
}

// tagFields pairs the tags with their names, those of [job.TagNames] in their order.
func tagFields(t *transcode.Tags) []tagField {
	return []tagField{
		{"title", &t.Title}, {"artist", &t.Artist}, {"album", &t.Album},
		{"album_artist", &t.AlbumArtist}, {"composer", &t.Composer}, {"date", &t.Date},
		{"track", &t.Track}, {"disc", &t.Disc}, {"genre", &t.Genre}, {"comment", &t.Comment},
		{"copyright", &t.Copyright}, {"grouping", &t.Grouping}, {"lyrics", &t.Lyrics},
		{"description", &t.Description},
	}
}

type tagField struct {
	name  string
	value *string
}

// tagLines is a tag's text in lines, not too many and not too long: lyrics and
// descriptions can be, and --json has them whole.
func tagLines(text string) []string {
	const most, longest = 4, 200
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimSpace(text))
	lines := strings.Split(text, "\n")
	if len(lines) > most {
		lines = append(lines[:most:most], fmt.Sprintf("(%d more lines)", len(lines)-most))
	}
	for i := range lines {
		lines[i] = runewidth.Truncate(printable(lines[i]), longest, "…")
	}
	return lines
}

// tagLabel is a tag's name as a label: "Album artist".
func tagLabel(name string) string {
	name = strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(name[:1]) + name[1:]
}

// probeRecord is the JSON object of one input of probe. Its fields are described
// in docs/cli.md and stay.
type probeRecord struct {
	Input  string `json:"input"`
	Status string `json:"status"` // done or failed
	*probeFacts
	Error *explanation `json:"error,omitempty"`
}

type probeFacts struct {
	Brand       string                  `json:"brand"`
	Duration    float64                 `json:"duration_seconds"`
	Bytes       int64                   `json:"bytes"`
	Fragmented  bool                    `json:"fragmented"`
	IndexFirst  bool                    `json:"index_first"`
	Audio       []probeTrack            `json:"audio"`
	OtherTracks int                     `json:"other_tracks"`
	Tags        transcode.Tags          `json:"tags"`
	Covers      []transcode.PictureInfo `json:"covers"`
	Chapters    []probeChapter          `json:"chapters"`
	BytesRead   int64                   `json:"bytes_read"`
}

type probeTrack struct {
	Number     int     `json:"number"`
	ID         uint32  `json:"id"`
	Codec      string  `json:"codec"`
	Profile    string  `json:"profile,omitempty"`
	Language   string  `json:"language,omitempty"`
	Title      string  `json:"title,omitempty"`
	SampleRate int     `json:"sample_rate"`
	Channels   int     `json:"channels"`
	Layout     string  `json:"layout,omitempty"`
	BitRate    int64   `json:"bit_rate"`
	Duration   float64 `json:"duration_seconds"`
	Default    bool    `json:"default"`
	Encrypted  bool    `json:"encrypted"`
	Decodable  bool    `json:"decodable"`
}

type probeChapter struct {
	Start float64 `json:"start_seconds"`
	Title string  `json:"title"`
}

func newProbeFacts(info *transcode.Info) *probeFacts {
	f := &probeFacts{
		Brand: info.Brand, Duration: seconds(info.Duration), Bytes: info.Bytes,
		Fragmented: info.Fragmented, IndexFirst: info.IndexFirst, Audio: []probeTrack{},
		OtherTracks: info.OtherTracks, Tags: info.Tags, Covers: info.Covers,
		Chapters: []probeChapter{}, BytesRead: info.BytesRead,
	}
	if f.Covers == nil {
		f.Covers = []transcode.PictureInfo{}
	}
	for _, t := range info.Audio {
		f.Audio = append(f.Audio, probeTrack{
			t.Number, t.ID, t.Codec, t.Profile, t.Language, t.Title, t.SampleRate, t.Channels,
			t.Layout, t.BitRate, seconds(t.Duration), t.Default, t.Encrypted, t.Decodable,
		})
	}
	for _, ch := range info.Chapters {
		f.Chapters = append(f.Chapters, probeChapter{seconds(ch.Start), ch.Title})
	}
	return f
}
