package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/gridimport"
	"github.com/mp3lathe/mp3lathe/internal/human"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// importGridFSCmd is "mp3lathe admin import-gridfs".
type importGridFSCmd struct {
	From     string `group:"Old service:" placeholder:"URL" env:"MP3LATHE_FROM" secret:"" help:"MongoDB of the old service: mongodb://user:password@host:27017."`
	FromFile string `group:"Old service:" placeholder:"FILE" env:"MP3LATHE_FROM_FILE" help:"File that holds the URL, instead."`
	VideosDB string `name:"videos-db" group:"Old service:" placeholder:"NAME" default:"videos" help:"Its database of videos."`
	MP3sDB   string `name:"mp3s-db" group:"Old service:" placeholder:"NAME" default:"mp3s" help:"Its database of MP3s."`
	Messages string `group:"Old service:" placeholder:"FILE" env:"MP3LATHE_MESSAGES" help:"Messages of its queue, one a line as JSON: video_fid, mp3_fid, username. They tell whose the files are, and which MP3 came of which video."`

	Owner     string        `group:"New jobs:" placeholder:"ID" env:"MP3LATHE_OWNER" help:"Account that has the files of which nothing else says whose they are. Default: such files are left."`
	Owners    string        `group:"New jobs:" placeholder:"FILE" env:"MP3LATHE_OWNERS" help:"Accounts by the names in the messages: one a line, the old name, a tab, the ID of the account."`
	Videos    bool          `group:"New jobs:" help:"Also queue the videos that have no MP3 by the messages; without messages all videos."`
	Retention time.Duration `group:"New jobs:" placeholder:"TIME" default:"168h" env:"MP3LATHE_RETENTION" help:"How long the MP3s are kept from now on."`
	DryRun    bool          `group:"New jobs:" help:"Count only, and change nothing."`

	Data string `short:"d" group:"Parts:" placeholder:"DIR" env:"MP3LATHE_DATA" complete:"folders" help:"The folder of mp3lathe serve that the jobs go to. Default: ~/.local/share/mp3lathe."`
	app.JobsFlags
	app.BucketFlags
}

func (*importGridFSCmd) usage() string { return "mp3lathe admin import-gridfs --from URL [flags]" }

func (*importGridFSCmd) footer() string {
	return `The jobs go to the folder of mp3lathe serve, also while it serves, or to a fleet's --database
and --bucket. Nothing in the old databases is changed. An import that was broken off goes on when it is
begun again, and makes nothing twice. What the report counts: see docs/cli.md.

Examples:
  mp3lathe admin import-gridfs --from mongodb://old:27017 --owner ID --dry-run
  mp3lathe admin import-gridfs --from-file old.url --messages queue.jsonl --owners owners.tsv --videos
`
}

// importPlan is what an import works by.
type importPlan struct {
	from, database string
	bucket         app.BucketPlace
	options        gridimport.Options
}

// check looks at all settings before anything is begun.
func (c *importGridFSCmd) check(ctx context.Context) (p importPlan, err error) {
	var f app.Faults
	p.from = f.Secret("from", c.From, c.FromFile)
	f.Time("retention", c.Retention, time.Second, app.Long)
	if c.Database == "" && c.DatabaseFile == "" {
		dir := c.Data
		if dir == "" {
			if dir, err = defaultData(); err != nil {
				return p, err
			}
		}
		d := dataFolder{dir: dir}
		p.database, p.bucket.URL = d.database(), d.bucket()
	} else {
		p.database, p.bucket = c.JobsFlags.Check(&f), c.BucketFlags.Check(ctx, &f)
	}
	p.options = gridimport.Options{Owner: c.Owner, Videos: c.Videos, Retention: c.Retention, DryRun: c.DryRun}
	if c.Messages != "" {
		if b := f.File("messages", c.Messages); b != nil {
			var err error
			p.options.Messages, err = gridimport.ReadMessages(strings.NewReader(string(b)))
			f.Wrong("messages", err)
		}
	}
	if c.Owners != "" {
		if b := f.File("owners", c.Owners); b != nil {
			var err error
			p.options.Owners, err = gridimport.ReadOwners(strings.NewReader(string(b)))
			f.Wrong("owners", err)
		}
	}
	if c.Owner == "" && c.Owners == "" {
		f.Add("owner", "is not set, nor is --owners: nobody would have the files")
	}
	return p, f.Err()
}

// Run imports.
func (c *importGridFSCmd) Run(ctx context.Context, std *stdio) (err error) {
	plan, err := c.check(ctx)
	if err != nil {
		return err
	}
	src, err := gridimport.Open(ctx, plan.from, gridimport.Names{Videos: c.VideosDB, MP3s: c.MP3sDB})
	if err != nil {
		return app.Explain("the old databases cannot be used", err)
	}
	defer src.Close()
	p := &app.Parts{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.OpenDB(ctx, plan.database); err != nil {
		return err
	}
	if err := p.OpenBucket(ctx, plan.bucket); err != nil {
		return err
	}
	bar := newImportBar(std)
	plan.options.Progress = bar.update
	plan.options.Failed = func(store string, f gridimport.File, err error) {
		bar.bars.print(std.err, fmt.Sprintf("mp3lathe: %s of %s: %s", printable(f.ID), printable(store), printable(app.Plain(err))))
	}
	// A place in the queue is for the sweeper to give, when its owner's turn has come.
	report, err := gridimport.Import(ctx, src, p.Jobs.WithWindow(1), importBucket{p.Bucket}, plan.options)
	bar.close()
	c.print(std, report)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(std.err, "mp3lathe: interrupted; the same command goes on")
		return errInterrupted
	case err != nil:
		return app.Explain("the import has ended before its time; the same command goes on", err)
	case report.MP3s.Failed+report.Videos.Failed > 0:
		return errReported
	}
	return nil
}

// print prints the report.
func (c *importGridFSCmd) print(std *stdio, r gridimport.Report) {
	imported := "imported"
	if c.DryRun {
		imported = "to be imported"
	}
	for _, part := range []struct {
		name string
		gridimport.Counts
	}{{"MP3s", r.MP3s}, {"videos", r.Videos}} {
		n := part.Counts
		fmt.Fprintf(std.out, "%-6s  %d found: %d %s (%s), %d there already, %d left, %d of nobody, %d failed\n",
			part.name, n.Found, n.Imported, imported, human.Size(n.Bytes), n.There, n.Left, n.NoOwner, n.Failed)
	}
}

// importBucket is a bucket as gridimport wants it.
type importBucket struct{ *objstore.Bucket }

// Create implements [gridimport.Bucket].
func (b importBucket) Create(ctx context.Context, key string) (gridimport.Writer, error) {
	w, err := b.CreateSequential(ctx, key)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// importBar shows how far an import has come, on a terminal.
type importBar struct {
	bars  *bars
	last  atomic.Pointer[gridimport.Progress]
	began time.Time
}

func newImportBar(std *stdio) *importBar {
	b := &importBar{bars: newBars(std.err, 1, true), began: time.Now()}
	b.last.Store(&gridimport.Progress{})
	if b.bars.container != nil {
		b.bars.total = b.bars.add(0, func(width int) string { return importLine(width, *b.last.Load(), time.Since(b.began)) })
	}
	return b
}

func (b *importBar) update(p gridimport.Progress) { b.last.Store(&p) }

func (b *importBar) close() { b.bars.close() }

// importLine draws the bar into at most width columns, without the last one.
func importLine(width int, p gridimport.Progress, took time.Duration) string {
	facts := fmt.Sprintf("  %d of %d files, %s of %s", p.Files, p.OfFiles, human.Size(p.Bytes), human.Size(p.OfBytes))
	if p.Bytes > 0 && took > time.Second {
		left := time.Duration(float64(took) * float64(max(p.OfBytes-p.Bytes, 0)) / float64(p.Bytes))
		facts += "  ETA " + human.ShortClock(left)
	}
	if room := width - 1 - len(facts); room >= 10 {
		return drawBar(min(room, 40), transcode.Progress{Position: time.Duration(p.Bytes), Total: time.Duration(cmp.Or(p.OfBytes, 1))}) + facts
	}
	return fit(strings.TrimSpace(facts), width-1)
}
