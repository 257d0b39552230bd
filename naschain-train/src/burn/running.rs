//! Running statistics, which a forward pass updates through a shared reference.

use std::fmt::{Debug, Formatter};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{
    AutodiffModule, Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param, ParamId,
};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

/// A tensor of a module's record that optimisers do not change, but forward passes do, through `&self`.
///
/// burn's own `RunningState` is shared between clones of a module, averages over threads and lags by
/// one update. Each clone of this one has a value of its own, and an update is complete at once.
pub struct RunningStatistic<B: Backend>(Mutex<Param<Tensor<B, 1>>>);

impl<B: Backend> RunningStatistic<B> {
    pub(super) fn new(tensor: Tensor<B, 1>) -> RunningStatistic<B> {
        RunningStatistic::of(Param::initialized(ParamId::new(), tensor))
    }

    fn of(param: Param<Tensor<B, 1>>) -> RunningStatistic<B> {
        RunningStatistic(Mutex::new(param))
    }

    /// A panic leaves the value as it was before the update.
    fn lock(&self) -> MutexGuard<'_, Param<Tensor<B, 1>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn param(&self) -> Param<Tensor<B, 1>> {
        self.lock().clone()
    }

    /// The current value.
    pub(super) fn val(&self) -> Tensor<B, 1> {
        self.lock().val()
    }

    /// Replaces the value.
    pub(super) fn update(&self, change: impl FnOnce(Tensor<B, 1>) -> Tensor<B, 1>) {
        let mut param = self.lock();
        *param = param.clone().map(change);
    }
}

impl<B: Backend> Clone for RunningStatistic<B> {
    fn clone(&self) -> Self {
        RunningStatistic::of(self.param())
    }
}

impl<B: Backend> Debug for RunningStatistic<B> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.lock().fmt(formatter)
    }
}

impl<B: Backend> ModuleDisplayDefault for RunningStatistic<B> {
    fn content(&self, content: Content) -> Option<Content> {
        self.lock().content(content)
    }
}

impl<B: Backend> ModuleDisplay for RunningStatistic<B> {}

/// As a [`Param`] of the same tensor, so that records are the same.
impl<B: Backend> Module<B> for RunningStatistic<B> {
    type Record = Param<Tensor<B, 1>>;

    fn collect_devices(&self, devices: Devices<B>) -> Devices<B> {
        self.param().collect_devices(devices)
    }

    fn fork(self, device: &B::Device) -> Self {
        RunningStatistic::of(self.param().fork(device))
    }

    fn to_device(self, device: &B::Device) -> Self {
        RunningStatistic::of(self.param().to_device(device))
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        visitor.visit_float(&self.param());
    }

    fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
        RunningStatistic::of(mapper.map_float(self.param()))
    }

    fn load_record(self, record: Self::Record) -> Self {
        RunningStatistic::of(self.param().load_record(record))
    }

    fn into_record(self) -> Self::Record {
        self.param().into_record()
    }
}

impl<B: AutodiffBackend> AutodiffModule<B> for RunningStatistic<B> {
    type InnerModule = RunningStatistic<B::InnerBackend>;

    fn valid(&self) -> Self::InnerModule {
        RunningStatistic::of(self.param().valid())
    }

    fn from_inner(module: Self::InnerModule) -> Self {
        RunningStatistic::of(Param::from_inner(module.param()))
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, Flex};

    use super::*;
    use crate::burn::layers::values;

    type Statistic = RunningStatistic<Autodiff<Flex>>;

    fn statistic() -> Statistic {
        RunningStatistic::new(Tensor::from_floats([1.0, 2.0], &Default::default()))
    }

    fn add(running: &Statistic, number: f32) {
        running.update(|old| old.add_scalar(number));
    }

    #[test]
    fn an_update_is_complete_at_once_and_changes_no_clone() {
        let running = statistic();
        let before = running.clone();
        std::thread::scope(|scope| scope.spawn(|| add(&running, 1.0)).join()).unwrap();
        add(&running, 10.0);
        let right = [12.0, 13.0];
        assert_eq!(values(running.val()), right);
        assert_eq!(values(running.valid().val()), right);
        assert_eq!(values(running.clone().into_record().val()), right);
        assert_eq!(values(before.val()), [1.0, 2.0]);
        let loaded = before.load_record(running.into_record());
        assert_eq!(values(loaded.val()), right);
    }

    #[test]
    fn a_panic_during_an_update_leaves_the_old_value() {
        let running = statistic();
        let update = || running.update(|_| panic!("expected by the test"));
        let result = std::thread::scope(|scope| scope.spawn(update).join());
        assert!(result.is_err());
        assert_eq!(values(running.val()), [1.0, 2.0]);
        add(&running, 1.0);
        assert_eq!(values(running.val()), [2.0, 3.0]);
    }
}
