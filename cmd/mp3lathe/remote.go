package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// remote is a service that converts, instead of this machine.
type remote struct {
	client   *client.Client
	settings url.Values
}

// newRemote returns the service that the command line names; nil if it names none.
func (c *convertCmd) newRemote() (*remote, error) {
	if c.Server == "" {
		if c.APIKeyFile != "" {
			return nil, usagef("--api-key-file is for --server")
		}
		return nil, nil
	}
	server, err := serverURL(c.Server)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Cover != "":
		return nil, usagef("--cover cannot be sent to a service")
	case c.Parallelism != 0:
		return nil, usagef("--parallelism is for this machine, and --server for another")
	}
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	r := &remote{settings: settingValues(s)}
	r.settings.Set("notify", "false") // somebody waits for it here
	if c.APIKeyFile != "" {
		b, err := os.ReadFile(c.APIKeyFile)
		if err != nil {
			return nil, usagef("the API key cannot be read: %v", err)
		}
		r.client = &client.Client{Base: server, Token: strings.TrimSpace(string(b)), HTTP: &http.Client{CheckRedirect: noRedirects}}
		return r, nil
	}
	if r.client, err = loggedIn(); err != nil {
		return nil, err
	}
	if r.client.Base != server {
		return nil, fmt.Errorf("the login is at %s, not at %s; mp3lathe login %[2]s changes that", r.client.Base, server)
	}
	return r, nil
}

// settingValues are settings as a job of the service takes them.
func settingValues(s job.Settings) url.Values {
	v := url.Values{}
	number := func(name string, n int) {
		if n != 0 {
			v.Set(name, strconv.Itoa(n))
		}
	}
	length := func(name string, d time.Duration) {
		if d != 0 {
			v.Set(name, d.String())
		}
	}
	flag := func(name string, set bool) {
		if set {
			v.Set(name, "true")
		}
	}
	number("bitrate", s.Bitrate)
	if s.VBR != nil {
		v.Set("vbr", strconv.Itoa(*s.VBR))
	}
	number("abr", s.ABR)
	number("rate", s.Rate)
	number("channels", s.Channels)
	number("track", s.Track)
	if s.Lang != "" {
		v.Set("lang", s.Lang)
	}
	length("start", s.Start)
	length("end", s.End)
	length("duration", s.Duration)
	if s.MaxDuration < 0 {
		v.Set("max-duration", "none")
	} else {
		length("max-duration", s.MaxDuration)
	}
	flag("allow-partial", s.AllowPartial)
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
		v.Add("tag", name+"="+s.Tags[name])
	}
	flag("no-tags", s.NoTags)
	flag("no-cover", s.NoCover)
	flag("id3v24", s.ID3v24)
	return v
}

// goodbye bounds what is done for a job when its context is over.
const goodbye = 5 * time.Second

// convert has the service convert a file, and writes the MP3. The job is removed again,
// whatever came of it.
func (r *remote) convert(ctx context.Context, dst io.Writer, src io.Reader, name string, progress func(transcode.Progress)) (*transcode.Result, error) {
	began := time.Now()
	j, err := r.client.Upload(ctx, filepath.Base(inputName(name)), src, r.settings)
	if err != nil {
		return nil, r.refusal(ctx, err)
	}
	id := j.ID
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		// One that is still running is canceled by the first, and removed by the second.
		if r.client.Delete(ctx, id) == nil && ctx.Err() == nil {
			_ = r.client.Delete(ctx, id)
		}
	}()
	j, err = r.client.Follow(ctx, id, func(j client.Job) {
		if j.Progress != nil {
			// The service tells a share, which is drawn as one of a length.
			const whole = 1000 * time.Second
			progress(transcode.Progress{Position: time.Duration(j.Progress.Fraction * float64(whole)), Total: whole})
		}
	})
	switch {
	case err != nil:
		return nil, r.refusal(ctx, err)
	case j.Failure != nil:
		return nil, &refusal{transcode.Code(j.Failure.Code), j.Failure.Message, j.Failure.Advice}
	case j.State != "succeeded" || j.Result == nil:
		return nil, &refusal{transcode.CodeCanceled, "the job was " + j.State + " at the service", ""}
	}
	audio, err := r.client.Audio(ctx, id)
	if err != nil {
		return nil, r.refusal(ctx, err)
	}
	defer audio.Close()
	n, err := io.Copy(dst, audio)
	if err == nil && n != j.Result.Bytes {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	progress(transcode.Progress{Done: true})
	res := &transcode.Result{
		Track:   transcode.Track{Number: j.Result.Track, Codec: j.Result.Codec, Language: j.Result.Language},
		Samples: j.Result.Samples, Duration: time.Duration(j.Result.Duration * float64(time.Second)),
		BytesRead: j.Result.BytesRead, BytesWritten: n, WallTime: time.Since(began),
		DecodeErrors: j.Result.DecodeErrors, Partial: j.Result.Partial,
		Settings: transcode.Settings{SampleRate: j.Result.SampleRate, Channels: j.Result.Channels, Copied: j.Result.Encoding == "copy"},
	}
	if !res.Settings.Copied {
		if res.Settings.Encoding, err = transcode.ParseEncoding(j.Result.Encoding); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// refusal says of an input what the service, or the way to it, had against it.
func (r *remote) refusal(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	code := codeService
	if problem, ok := errors.AsType[*client.Error](err); ok && problem.Code != "" {
		code = transcode.Code(problem.Code)
	}
	return &refusal{code, strings.TrimSuffix(words(err).Error(), "."), ""}
}
