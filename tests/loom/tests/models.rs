//! The models of `models/`, as tests: they need what is private in `runtime/src`, and so are part
//! of it when loom compiles it.
#![allow(missing_docs)]

macro_rules! tests {
    ($($side:ident { $($claim:ident)* })*) => { $(mod $side { $(
        #[test]
        fn $claim() {
            steadfast_loom::$side::models::$claim();
        }
    )* })* };
}

tests! {
    client {
        a_call_reaches_the_socket_and_its_answer_the_caller
        calls_of_two_threads_both_reach_the_socket
        a_call_that_waits_for_room_is_let_in
        a_call_behind_one_that_is_withdrawn_is_written
        a_call_is_withdrawn_or_sent_and_never_both
        closing_ends_a_call_that_is_made_meanwhile
        a_follower_of_a_call_sees_its_end
        an_event_that_comes_before_the_end_of_a_subscription_is_seen
        a_subscription_that_is_dropped_while_events_come_leaves_nothing_behind
        what_a_follower_has_finished_with_is_told_to_the_server
    }
    server {
        what_another_turn_has_to_send_wakes_a_waiting_connection
        a_connection_that_is_to_close_is_told_while_it_waits
        a_turn_of_one_connection_wakes_another_that_has_just_been_served
    }
}
