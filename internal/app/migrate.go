package app

import (
	"context"
	"errors"
	"fmt"
)

// migrateCmd brings tables up to date and does nothing else, so that the services
// can have a database user that may not change them.
type migrateCmd struct{ DatabaseFlags }

// migrate opens the database by open, which brings tables up to date.
func (c *migrateCmd) migrate(std *Std, open func(p *Parts, url string) error) (err error) {
	var f Faults
	url := c.DatabaseFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	p := &Parts{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := open(p, url); err != nil {
		return err
	}
	state := "up to date"
	if p.DB.Newer() {
		state = "of a newer version than this program, and stay so"
	}
	_, err = fmt.Fprintf(std.Out, "the tables in %s are %s\n", p.DB, state)
	return err
}

// jobsMigrateCmd is for the tables of jobs.
type jobsMigrateCmd struct{ migrateCmd }

// Run needs the database and nothing else.
func (c *jobsMigrateCmd) Run(ctx context.Context, std *Std) error {
	return c.migrate(std, func(p *Parts, url string) error { return p.OpenDB(ctx, url) })
}

// accountsMigrateCmd is for the tables of accounts.
type accountsMigrateCmd struct{ migrateCmd }

// Run needs the database and nothing else.
func (c *accountsMigrateCmd) Run(ctx context.Context, std *Std) error {
	return c.migrate(std, func(p *Parts, url string) error { return p.OpenAccounts(ctx, url) })
}
