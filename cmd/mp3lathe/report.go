package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/human"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// report says what became of each input.
type report struct {
	std   *stdio
	lines io.Writer // where the lines for people go
	json  bool
	quiet bool
	asked asked
	bars  *bars

	done, failed, canceled int
}

func newReport(std *stdio, c *convertCmd, toStdout bool) *report {
	r := &report{std: std, lines: std.out, json: c.JSON, quiet: c.Quiet}
	r.asked.partial = c.Partial
	r.asked.part = c.Track != 0 || c.Lang != "" || c.Start != 0 || c.End != 0 || c.Duration != 0
	if toStdout { // which the MP3 has
		r.lines = std.err
	}
	return r
}

// add reports one outcome.
func (r *report) add(ctx context.Context, o outcome) {
	var failure *explanation
	switch {
	case interrupted(ctx, o.err):
		r.canceled++
	case o.err != nil:
		r.failed++
	default:
		r.done++
	}
	if o.err != nil {
		e := explain(o.err, r.asked)
		failure = &e
		// An interruption is one line for all inputs, and a pipe that the
		// reader has closed is none.
		if !interrupted(ctx, o.err) && !brokenPipe(o.err) {
			r.bars.print(r.std.err, "mp3lathe: "+printable(inputName(o.in)+": "+e.line()))
		}
	}
	switch {
	case r.json:
		r.bars.print(r.std.out, asJSON(newConvertRecord(o, failure)))
	case failure == nil && !r.quiet:
		r.bars.print(r.lines, printable(o.line()))
	}
}

// end says what concerns all inputs together, and returns how the command ends.
func (r *report) end(ctx context.Context) error {
	switch total := r.done + r.failed + r.canceled; {
	case r.canceled > 0 && total == 1:
		fmt.Fprintln(r.std.err, "mp3lathe: interrupted; nothing was written")
	case r.canceled > 0:
		fmt.Fprintf(r.std.err, "mp3lathe: interrupted; %d of %d inputs are done, no unfinished file is left\n", r.done, total)
	case r.failed > 0 && total > 1:
		fmt.Fprintf(r.std.err, "mp3lathe: %d of %d inputs failed\n", r.failed, total)
	}
	switch {
	case r.canceled > 0:
		return errInterrupted
	case r.failed > 0:
		return errReported
	}
	return nil
}

func inputName(in string) string {
	if in == "-" {
		return "standard input"
	}
	return in
}

// line is the outcome of a task that did not fail, for people.
func (o *outcome) line() string {
	if o.skip {
		return fmt.Sprintf("%s skipped, %s exists", o.in, o.out)
	}
	res := o.result
	in, out := inputName(o.in), o.out
	if out == "-" {
		out = "standard output"
	}
	s := fmt.Sprintf("%s -> %s  %s  %s  %s  %s", in, out, human.Clock(res.Duration), human.Size(res.BytesWritten), human.Times(res.Speed()), settings(res.Settings))
	var notes []string
	if res.Partial {
		note := "partial"
		if res.PartialReason != nil {
			reason := explain(res.PartialReason, asked{})
			note += ": " + cmp.Or(reason.Detail, reason.Message)
		}
		notes = append(notes, note)
	}
	switch n := res.DecodeErrors; {
	case n == 1:
		notes = append(notes, "1 damaged frame became silence")
	case n > 1:
		notes = append(notes, fmt.Sprintf("%d damaged frames became silence", n))
	}
	if notes != nil {
		s += "  (" + strings.Join(notes, "; ") + ")"
	}
	return s
}

// settings writes what a conversion used: "VBR 2, 44.1 kHz stereo".
func settings(s transcode.Settings) string {
	how := s.Encoding.String()
	if s.Copied {
		how = "MP3 copied"
	}
	channels := "mono"
	if s.Channels == 2 {
		channels = "stereo"
	}
	return fmt.Sprintf("%s, %s %s", how, human.Kilohertz(s.SampleRate), channels)
}

// convertRecord is the JSON object of one input of convert. Its fields are
// described in docs/cli.md and stay.
type convertRecord struct {
	Input  string `json:"input"`
	Output string `json:"output,omitempty"`
	Status string `json:"status"` // done, skipped, failed or canceled
	*convertFacts
	Error *explanation `json:"error,omitempty"`
}

type convertFacts struct {
	Track         int                `json:"track"`
	Codec         string             `json:"codec"`
	Language      string             `json:"language,omitempty"`
	Encoding      transcode.Encoding `json:"encoding"`
	Copied        bool               `json:"copied"`
	SampleRate    int                `json:"sample_rate"`
	Channels      int                `json:"channels"`
	Duration      float64            `json:"duration_seconds"`
	Samples       int64              `json:"samples"`
	Frames        int64              `json:"frames"`
	BytesRead     int64              `json:"bytes_read"`
	BytesWritten  int64              `json:"bytes_written"`
	WallTime      float64            `json:"wall_seconds"`
	Speed         float64            `json:"speed"`
	DecodeErrors  int                `json:"decode_errors"`
	Partial       bool               `json:"partial"`
	PartialReason *explanation       `json:"partial_reason,omitempty"`
}

func newConvertRecord(o outcome, failure *explanation) convertRecord {
	rec := convertRecord{Input: o.in, Output: o.out, Status: "done", Error: failure}
	switch {
	case failure != nil:
		rec.Status = "failed"
		if failure.Code == transcode.CodeCanceled {
			rec.Status = "canceled"
		}
		return rec
	case o.skip:
		rec.Status = "skipped"
		return rec
	}
	res := o.result
	rec.convertFacts = &convertFacts{
		Track: res.Track.Number, Codec: res.Track.Codec, Language: res.Track.Language,
		Encoding: res.Settings.Encoding, Copied: res.Settings.Copied,
		SampleRate: res.Settings.SampleRate, Channels: res.Settings.Channels,
		Duration: seconds(res.Duration), Samples: res.Samples, Frames: res.Frames,
		BytesRead: res.BytesRead, BytesWritten: res.BytesWritten,
		WallTime: seconds(res.WallTime), Speed: float64(int64(res.Speed()*100+0.5)) / 100,
		DecodeErrors: res.DecodeErrors, Partial: res.Partial,
	}
	if res.PartialReason != nil {
		reason := explain(res.PartialReason, asked{})
		reason.Advice = ""
		rec.PartialReason = &reason
	}
	return rec
}

// asJSON is v as one line of JSON.
func asJSON(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // the records hold nothing that has no JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}
