//! The same things with a point before each use.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::explore::{is_going_on, point};

/// Where a scheduler decides, who finds the lock taken waits in its order; the lock itself is then always free.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    real: parking_lot::Mutex<T>,
    turn: OnceLock<shuttle::sync::Mutex<()>>,
}

pub struct MutexGuard<'a, T> {
    // In this order: the turn is over when the lock is free.
    real: parking_lot::MutexGuard<'a, T>,
    _turn: Option<shuttle::sync::MutexGuard<'a, ()>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            real: parking_lot::Mutex::new(value),
            turn: OnceLock::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let turn = is_going_on().then(|| {
            let turn = self.turn.get_or_init(|| shuttle::sync::Mutex::new(()));
            turn.lock().unwrap()
        });
        MutexGuard {
            real: self.real.lock(),
            _turn: turn,
        }
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.real.get_mut()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.real
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.real
    }
}

macro_rules! atomic {
    ($name:ident, $number:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(std::sync::atomic::$name);

        impl $name {
            pub(crate) const fn new(value: $number) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $number {
                point();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $number, order: Ordering) {
                point();
                self.0.store(value, order);
            }

            pub(crate) fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                point();
                self.0.fetch_add(value, order)
            }

            #[allow(dead_code, reason = "not each number is counted down")]
            pub(crate) fn fetch_sub(&self, value: $number, order: Ordering) -> $number {
                point();
                self.0.fetch_sub(value, order)
            }
        }
    };
}

atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);

pub(crate) struct ArcSwap<T>(arc_swap::ArcSwap<T>);

impl<T> ArcSwap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(arc_swap::ArcSwap::new(value))
    }

    pub(crate) fn from_pointee(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<T>> {
        point();
        self.0.load()
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        point();
        self.0.load_full()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        point();
        self.0.store(value);
    }

    pub(crate) fn swap(&self, value: Arc<T>) -> Arc<T> {
        point();
        self.0.swap(value)
    }
}
