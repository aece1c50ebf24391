/* SPDX-License-Identifier: Apache-2.0 */
/* stel: the dose of the last 15 min, as a mean over all of them. */
#include "evaluate/measure_internal.h"

const struct davy_measure_type davy_measure_type_stel = {
    .open = davy_measure_dose_open,
    .close = davy_measure_dose_close,
    .take = davy_measure_dose_take,
    .value = davy_measure_dose_value,
    .bytes = davy_measure_dose_bytes,
    .bytes_max = davy_measure_dose_bytes_max,
};
