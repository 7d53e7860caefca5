package workers

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/job"
)

// quarantineCmd shows files with which conversions have crashed.
type quarantineCmd struct {
	Pardon string `placeholder:"SHA256" help:"Forget the crashes of this file, so that it is tried again. Default: show all."`
	app.JobsFlags
}

// most is how many files are shown.
const most = 1000

// Run needs the database and nothing else.
func (c *quarantineCmd) Run(ctx context.Context, std *app.Std) (err error) {
	var f app.Faults
	url := c.JobsFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	p := &app.Parts{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.OpenDB(ctx, url); err != nil {
		return err
	}
	if c.Pardon != "" {
		err := p.Jobs.Pardon(ctx, c.Pardon)
		if errors.Is(err, job.ErrNotFound) {
			return fmt.Errorf("no conversion has crashed with a file of the SHA-256 %s", c.Pardon)
		}
		return err
	}
	all, err := p.Jobs.Suspects(ctx, most)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		_, err = fmt.Fprintln(std.Out, "no conversion has crashed")
		return err
	}
	w := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILE (SHA-256) OR JOB\tCRASHES\tLAST CODE\tLAST TIME\tQUARANTINED")
	for _, s := range all {
		refused := "no"
		if s.Quarantined() {
			refused = "yes"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", s.SHA256, s.Crashes, s.Code, s.Last.Format(time.RFC3339), refused)
	}
	return w.Flush()
}
