//! Failures of a GPU's runtime as errors.
//!
//! CubeCL works on a device in a thread of its own. If the driver fails or memory is exhausted, that
//! thread panics, its command is lost, and the thread that trains may go on with wrong numbers. So
//! panics of such threads are counted, and work during which one happened has failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::{Device, Error};

/// How CubeCL names the threads of its devices.
const DEVICE_THREAD: &str = "DSD-";
/// Maximum length of a reason, in characters. Messages of runtimes contain whole backtraces.
const MAX_REASON: usize = 300;

/// The panics of device threads.
struct Panics {
    count: u64,
    last: String,
}

static PANICS: Mutex<Panics> = Mutex::new(Panics {
    count: 0,
    last: String::new(),
});

fn panics() -> MutexGuard<'static, Panics> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` on a device. A panic in this thread or in one of a device becomes an error; with
/// several trainings at once all of them fail, since it is not known whose command was lost.
pub(crate) fn guarded<T>(
    device: Device,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    count_panics();
    let before = panics().count;
    let failed = |what: &str, text: &str| {
        let line = text.trim().lines().next().unwrap_or_default();
        let reason: String = line.chars().take(MAX_REASON).collect();
        Err(Error::DeviceUnavailable {
            device,
            reason: format!("{what}: {reason}"),
        })
    };
    // Unwind safe: nothing that `work` captures is used after a panic.
    let result = catch_unwind(AssertUnwindSafe(work));
    let panics = panics();
    if panics.count > before {
        let what = "its runtime failed, perhaps for lack of memory";
        return failed(what, &panics.last);
    }
    drop(panics);
    result.unwrap_or_else(|panic| failed("its runtime failed", message(&*panic)))
}

/// Counts the panics of device threads from now on. They are not printed, since the errors of the
/// trainings say what happened; a device that has failed panics for each command.
fn count_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo| {
            let thread = std::thread::current();
            if !thread
                .name()
                .is_some_and(|name| name.starts_with(DEVICE_THREAD))
            {
                return before(info);
            }
            let mut panics = panics();
            panics.count += 1;
            panics.last = message(info.payload()).to_owned();
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked_in(name: &str) -> Result<u8, Error> {
        guarded(Device::Cuda(0), || {
            let thread = std::thread::Builder::new().name(name.to_owned());
            let thread = thread.spawn(|| panic!("out of memory\n  at a line"));
            assert!(thread.unwrap().join().is_err());
            Ok(1)
        })
    }

    #[test]
    fn work_fails_if_a_thread_of_the_device_panicked() {
        let error = panicked_in("DSD-0-0").unwrap_err().to_string();
        assert!(error.ends_with("lack of memory: out of memory"), "{error}");
        assert_eq!(panicked_in("other").unwrap(), 1);
        let own = guarded(Device::Cuda(0), || -> Result<u8, Error> {
            panic!("of its own")
        });
        assert!(own.unwrap_err().to_string().contains("of its own"));
    }
}
