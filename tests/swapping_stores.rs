//! The same code over a mock, over the store in memory, and over one that fails as scripted: the
//! example of that, run as tests.

#[allow(dead_code, reason = "each test runs a part of the example")]
#[path = "../examples/testing_with_mocks.rs"]
mod example;

use strongroom::Result;

#[tokio::test]
async fn a_mock_takes_the_place_of_the_store() -> Result<()> {
    example::with_a_mock().await
}

#[tokio::test]
async fn the_store_in_memory_takes_the_place_of_an_engine() -> Result<()> {
    example::with_the_store_in_memory().await
}

#[tokio::test(start_paused = true)]
async fn scripted_faults_take_the_place_of_a_broken_network() -> Result<()> {
    example::with_scripted_faults().await
}
