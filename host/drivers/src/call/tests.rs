//! Calls that return, and calls that do not.

use std::sync::mpsc;

use super::*;

fn caller(most: usize) -> Caller {
    Caller::new(most, CallerOptions::default())
}

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

async fn stick(caller: &Caller, gate: mpsc::Receiver<()>) {
    let result = caller.call("stats", SHORT, move || Ok(gate.recv().is_ok())).await;
    assert_eq!(result, Err(CallError::Deadline { op: "stats", after: SHORT }));
}

#[tokio::test]
async fn calls_that_never_return_wedge_the_driver_until_they_do() {
    let caller = caller(2);
    let ((open_one, one), (open_two, two)) = (mpsc::channel(), mpsc::channel());
    stick(&caller, one).await;
    assert_eq!(caller.call("stats", LONG, || Ok(1)).await, Ok(1), "one permit is left");
    stick(&caller, two).await;
    // LONG: the refusal does not wait for a permit.
    let refused = caller.call("start", LONG, || Ok(())).await;
    assert_eq!(refused, Err(CallError::Wedged { op: "start", stuck: 2 }));
    let health = caller.health();
    assert_eq!((health.calls, health.failures, health.timeouts, health.stuck), (3, 2, 2, 2));

    drop(open_one);
    let mut stuck = caller.0.stuck.subscribe();
    timeout(LONG, stuck.wait_for(|stuck| *stuck == 1)).await.unwrap().unwrap();
    assert_eq!(caller.call("stats", LONG, || Ok(2)).await, Ok(2));
    drop(open_two);
    timeout(LONG, stuck.wait_for(|stuck| *stuck == 0)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_that_waits_for_a_permit_learns_of_the_wedge() {
    let caller = caller(1);
    let (open, gate) = mpsc::channel();
    let waiting = caller.clone();
    let (first, second) = tokio::join!(stick(&caller, gate), waiting.call("stop", LONG, || Ok(())));
    assert_eq!(((), second), (first, Err(CallError::Wedged { op: "stop", stuck: 1 })));
    drop(open);
}

#[tokio::test]
async fn more_callers_than_permits_take_turns() {
    let caller = caller(3);
    let calls = (0..100).map(|number| {
        let caller = caller.clone();
        tokio::spawn(async move { caller.call("stats", LONG, move || Ok(number)).await })
    });
    for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), Ok(number));
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_call_that_is_counted() {
    let caller = caller(1);
    let (open, gate) = mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    // Long enough for the call to begin on a busy machine.
    let call = caller.call("stats", Duration::from_secs(2), move || {
        began.send(()).unwrap();
        Ok(gate.recv().is_ok())
    });
    tokio::select! {
        _ = call => panic!("the gate is shut"),
        begun = begun => begun.unwrap(),
    }
    let mut stuck = caller.0.stuck.subscribe();
    timeout(LONG, stuck.wait_for(|stuck| *stuck == 1)).await.unwrap().unwrap();
    drop(open);
}

#[tokio::test]
async fn refusals_are_no_failures_and_panics_are() {
    let caller = caller(1);
    let refused = caller.call("start", LONG, || Err::<(), _>(Error::invalid("field x"))).await;
    assert_eq!(refused.unwrap_err().to_string(), "field x");
    assert_eq!(caller.health().failures, 0);
    let error = Error { kind: ErrorKind::Panicked, message: "the driver panicked".to_owned() };
    caller.call("start", LONG, move || Err::<(), _>(error)).await.unwrap_err();
    let own = caller.call("stop", LONG, || -> Result<(), Error> { panic!("of\nthe host") });
    let own = own.await.unwrap_err().to_string();
    assert_eq!(own, "the host panicked in stop: of the host");
    let health = caller.health();
    assert_eq!((health.calls, health.failures, health.panics), (3, 2, 2));
    assert_eq!(health.last_failure.unwrap().op, "stop");
}

#[test]
fn a_stuck_call_does_not_keep_the_runtime_from_ending() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (open, gate) = mpsc::channel();
    runtime.block_on(stick(&caller(1), gate));
    // This test never ends when the runtime waits for the call.
    runtime.shutdown_timeout(SHORT);
    drop(open);
}
