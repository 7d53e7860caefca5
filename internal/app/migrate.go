package app

import (
	"context"
	"errors"
	"fmt"
)

// Bringing tables up to date is a command of its own, so that the services can have a
// database user that may not change them.

// migrate opens a database by open, which brings tables up to date, and does nothing else.
func migrate(std *Std, f *Faults, open func(p *Parts) error) (err error) {
	if err := f.Err(); err != nil {
		return err
	}
	p := &Parts{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := open(p); err != nil {
		return err
	}
	state := "up to date"
	if p.Newer {
		state = "of a newer version than this program, and stay so"
	}
	_, err = fmt.Fprintf(std.Out, "the tables in %s are %s\n", p.Database, state)
	return err
}

// jobsMigrateCmd is for the tables of jobs.
type jobsMigrateCmd struct{ JobsFlags }

// Run needs the database and nothing else.
func (c *jobsMigrateCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	url := c.JobsFlags.Check(&f)
	return migrate(std, &f, func(p *Parts) error { return p.OpenDB(ctx, url) })
}

// accountsMigrateCmd is for the tables of accounts.
type accountsMigrateCmd struct{ DatabaseFlags }

// Run needs the database and nothing else.
func (c *accountsMigrateCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	url := c.DatabaseFlags.Check(&f)
	return migrate(std, &f, func(p *Parts) error { return p.OpenAccounts(ctx, url) })
}
