package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/handlers/assign"
	passing "github.com/rollcall-mdm/rollcall/handlers/bulk"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/projections"
)

// workAlone lets the workers work on one server at a time of those that share the log; on none that is to do other things.
func (s *server) workAlone(ctx context.Context) error {
	switch {
	case !s.has(working):
		return nil
	case s.shares == nil:
		return s.work(ctx)
	}
	return s.lease("workers", s.house).Run(ctx, s.work)
}

// work lets the workers work until ctx ends, once the views can be asked: each begins with what has happened till then.
func (s *server) work(ctx context.Context) error {
	if _, asked := s.views.Stale(); !asked {
		s.logger.Info("pushes, bulk orders and other work of the server's own begin when the views are built; devices are served meanwhile")
	}
	if err := s.views.Ready(ctx); err != nil {
		if ctx.Err() != nil || errors.Is(err, projections.ErrClosed) {
			return nil
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range s.workers() {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

// workers lists those who read a list of the views, act on the world, and let an aggregate record what happened.
func (s *server) workers() []func(context.Context) error {
	announcer := &assign.Announcer{Log: s.house.log, Views: s.views, Devices: s.devices, Logger: s.logger}
	keeper := s.keeper()
	passer := &passing.Worker{Log: s.house.log, Views: s.views, Orders: s.bulks, Devices: s.devices, Logger: s.logger}
	calendar := &push.Calendar{Views: s.views, Certificates: s.pushcerts, Now: s.now, Log: s.logger}
	return []func(context.Context) error{
		s.notifier.Run, calendar.Run, s.watch().Run, s.lookout().Run, s.renewer().Run, s.forgetter().Run, announcer.Run, keeper.Run, passer.Run,
	}
}
