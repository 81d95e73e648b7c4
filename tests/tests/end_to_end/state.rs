//! The cycle is a pure function of state and input: a core that takes over an exported state goes on bit for bit.

use tapline_server::{
    cycle::{Core, Slot, clock::SLOT_NS},
    golden_run::simulated,
    ingest::frames::Frames,
};

/// Frames of every slot of a scene's beginning.
fn slots(scene: &str, count: u64) -> Vec<Frames> {
    let (_, mut simulator) = simulated(scene, 3, "cir-fft").expect("the scene");
    let mut datagram = Vec::new();
    let mut next = simulator.next_datagram(&mut datagram);
    let mut all = Vec::new();
    for tick in 0..count {
        let mut frames = Frames::default();
        while let Some(emission) = next.filter(|e| e.time_ns <= tick * SLOT_NS) {
            frames.push(u32::from(emission.node), emission.time_ns, &datagram);
            datagram.clear();
            next = simulator.next_datagram(&mut datagram);
        }
        all.push(frames);
    }
    all
}

fn step(core: &mut Core, tick: u64, frames: &Frames) -> (Vec<u8>, Vec<u8>) {
    let t_ms = (tick * 50).cast_signed();
    core.step(&Slot {
        cycle: tick,
        tick,
        end_ns: tick * SLOT_NS,
        t_ms,
        frames,
        deadline: None,
        obey: None,
    });
    (core.stages_list().to_vec(), core.outcome_bytes().to_vec())
}

/// run(0..n) == run(0..k), export, import into a fresh core, run(k..n); somebody enters the room after 12 s.
#[test]
fn an_imported_state_continues_bit_for_bit() {
    let slots = slots("demo", 400);
    for handover in [1, 150, 300] {
        let (mut whole, _) = simulated("demo", 3, "cir-fft").expect("the scene");
        let (mut heir, _) = simulated("demo", 3, "cir-fft").expect("the scene");
        for (tick, frames) in slots.iter().enumerate() {
            let expected = step(&mut whole, tick as u64, frames);
            if tick + 1 == handover {
                let mut state = Vec::new();
                whole.export_state(&mut state).expect("a state");
                heir.import_state(&state).expect("the state fits");
                let mut again = Vec::new();
                heir.export_state(&mut again).expect("a state");
                assert!(state == again, "the state changed by being handed over at {handover}");
            } else if tick >= handover {
                assert!(
                    step(&mut heir, tick as u64, frames) == expected,
                    "slot {tick} after a hand-over at {handover}"
                );
            }
        }
    }
}

/// A state of another site, a torn one, and garbage are refused with an error.
#[test]
fn what_is_no_state_is_refused() {
    let (mut core, _) = simulated("demo", 1, "cir-fft").expect("the scene");
    let (mut other, _) = simulated("six-nodes-he40", 1, "cir-fft").expect("the scene");
    let mut state = Vec::new();
    core.export_state(&mut state).expect("a state");
    assert!(other.import_state(&state).is_err());
    assert!(core.import_state(&state[..state.len() / 2]).is_err());
    assert!(core.import_state(&[0xff; 64]).is_err());
}
